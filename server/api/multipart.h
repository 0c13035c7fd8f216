/*
 * multipart: the parts of a multipart/form-data body, one after another,
 * without copying their content (RFC 7578, and what browsers really send). PURE.
 */
#ifndef API_MULTIPART_H
#define API_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#define MULTIPART_BOUNDARY_MAX 70
#define MULTIPART_NAME_MAX 512		/* a longer name is cut; the caller's own limit is below */

struct multipart {
	const char *at, *end;
	char delimiter[MULTIPART_BOUNDARY_MAX + 5];	/* CRLF -- boundary */
	size_t delimiter_len;
};

struct part {
	char name[MULTIPART_NAME_MAX];
	size_t name_len;
	bool file;		/* it has a file name */
	bool encoded;		/* it has a Content-Transfer-Encoding that changes its bytes */
	const char *value;	/* borrowed from the body */
	size_t value_len;
};

enum multipart_step { MULTIPART_PART, MULTIPART_END, MULTIPART_MALFORMED };

/* False when the Content-Type has no usable boundary, or the body does not begin with it. */
bool multipart_start(struct multipart *, const char *content_type, const char *body, size_t len)
    __attribute__((warn_unused_result));
enum multipart_step multipart_next(struct multipart *, struct part *);

/*
 * The parameter `name` of a header value ("form-data; name=x"), unquoted, into
 * out (cut at size). Its length, or -1 when there is none. Also for charset.
 */
int header_parameter(const char *header, size_t len, const char *name, char *out, size_t size);

#endif
