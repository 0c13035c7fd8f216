/* descriptors: see descriptors.h. */
#include "base/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

int
descriptors_room(int n)
{
	struct rlimit limit;
	rlim_t wanted = (rlim_t)n;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
			return 0;
	}
	int room = limit.rlim_cur < wanted ? (int)limit.rlim_cur : n;
	int any = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int last = any >= 0 ? fcntl(any, F_DUPFD_CLOEXEC, room - 1) : -1;
	if (last >= 0)
		close(last);
	if (any >= 0)
		close(any);
	return room;
}
