/*
 * callbackctl rotate and retire: a new key for links, and the end of an old
 * one. What either means for whom is the server's to know.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int
ctl_rotate(const struct ctl *ctl)
{
	json_t *body = json_pack("{s:s}", "purpose", "link");
	json_t *answer = ctl_ask(ctl, "POST", "/v1/secrets", NULL, body);

	json_decref(body);
	if (answer == NULL)
		return CTL_FAILED;
	int64_t id = json_int(json_object_get(answer, "secret"), "id", 0);
	json_decref(answer);
	if (id == 0) {
		ctl_complain("the answer holds no secret");
		return CTL_FAILED;
	}
	printf("secret %lld signs links from now on; older ones are good until they are retired\n",
	    (long long)id);
	return CTL_OK;
}

int
ctl_retire(const struct ctl *ctl)
{
	const char *id = ctl->args[0];
	size_t len = strlen(id);

	if (len == 0 || len > 9 || strspn(id, "0123456789") != len) {
		ctl_complain("%s is not the number of a secret", id);
		return CTL_USAGE;
	}
	char *path = xasprintf("/v1/secrets/%s", id);
	json_t *answer = ctl_ask(ctl, "DELETE", path, NULL, NULL);
	free(path);
	if (answer == NULL)
		return CTL_FAILED;
	json_decref(answer);
	printf("retired secret %s: links that it signed are unknown now\n", id);
	return CTL_OK;
}
