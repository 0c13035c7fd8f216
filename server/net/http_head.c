/*
 * http_head: what a request's head says, and what is refused in it because
 * another program on the way could understand it differently. It must not know
 * which requests there are.
 */
#include "net/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "net/http_impl.h"

/* Older ones cut a header at a NUL without a word; newer ones refuse it. */
#define MHD_CUTS_AT_NUL (MHD_VERSION < 0x01000000)

struct reading {
	struct http_request *req;
	const char *bad;
	const char *end; /* of the text before, in libmicrohttpd's buffer */
	int hosts, lengths, encodings;
	struct buf forwarded;
};

static bool
is_token(const char *s, size_t len)
{
	static const char extra[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			(c != '\0' && strchr(extra, c) != NULL)))
			return false;
	}
	return len > 0;
}

static bool
is_field_text(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
			return false;
	return utf8_ok(s, len);
}

/*
 * In the buffer each line directly follows the one before; only the line's end
 * (CR and LF, zeroed) is between. More between them is a text cut short by a NUL
 * that the client sent, or a line folded into the next. Less is a line that ends
 * in LF alone, which for another program on the way may not be an end.
 */
static bool
follows(const char *end, const char *text)
{
	return !MHD_CUTS_AT_NUL || text == end + 2;
}

static void
note_field(struct reading *r, const char *name, const char *value)
{
	struct http_request *req = r->req;

	if (strcasecmp(name, "Host") == 0) {
		r->hosts++;
	} else if (strcasecmp(name, "Content-Length") == 0) {
		r->lengths++;
		req->content_length = strtoull(value, NULL, 10);
	} else if (strcasecmp(name, "Transfer-Encoding") == 0) {
		r->encodings++;
		req->chunked = true;
		if (strcasecmp(value, "chunked") != 0)
			r->bad = "The only transfer encoding understood is chunked.";
	} else if (strcasecmp(name, "Expect") == 0) {
		req->expects_100 = true;
	} else if (strcasecmp(name, "X-Forwarded-For") == 0) {
		buf_printf(&r->forwarded, "%s%s", r->forwarded.len > 0 ? "," : "", value);
	}
}

static enum MHD_Result
on_field(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value,
    size_t value_len)
{
	struct reading *r = arg;

	(void)kind;
	if (value == NULL)
		value = "";
	if (!follows(r->end, name) || !is_token(name, name_len) || !is_field_text(value, value_len))
		r->bad = "A header field is malformed.";
	r->end = value + value_len;
	if (r->bad == NULL)
		note_field(r, name, value);
	return r->bad == NULL ? MHD_YES : MHD_NO;
}

/* Both are decoded by now. */
static enum MHD_Result
on_argument(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len,
    const char *value, size_t value_len)
{
	struct reading *r = arg;

	(void)kind;
	if (!utf8_ok(name, name_len) || (value != NULL && !utf8_ok(value, value_len)))
		r->bad = "The query is not UTF-8 or has a NUL.";
	return r->bad == NULL ? MHD_YES : MHD_NO;
}

/* "http://host/path" is a legal request line, too. */
static const char *
path_of(const char *url)
{
	const char *host = strncasecmp(url, "http://", 7) == 0 ? url + 7
	    : strncasecmp(url, "https://", 8) == 0	       ? url + 8
							       : NULL;

	if (host == NULL)
		return url;
	const char *slash = strchr(host, '/');
	return slash != NULL ? slash : "/";
}

/* The last hop that is not one of our proxies; what is left of it anybody could have written. */
static void
note_forwarded(struct reading *r)
{
	struct http_request *req = r->req;
	struct address peer, hop;
	const char *peer_text = bridge_peer(req->bridge);
	bool found = false;

	if (r->forwarded.len == 0 || !address_parse(peer_text, strlen(peer_text), &peer) ||
	    !address_set_has(req->http->trusted, &peer))
		return;
	const char *list = r->forwarded.data;
	const char *end = list + r->forwarded.len;
	while (end > list) {
		const char *start = end;
		while (start > list && start[-1] != ',')
			start--;
		const char *word = start + strspn(start, " \t");
		size_t len = word < end ? (size_t)(end - word) : 0;
		while (len > 0 && (word[len - 1] == ' ' || word[len - 1] == '\t'))
			len--;
		if (!address_parse(word, len, &hop))
			break;
		found = true;
		if (!address_set_has(req->http->trusted, &hop))
			break;
		end = start > list ? start - 1 : list;
	}
	if (!found)
		return;
	req->forwarded_peer = xmalloc(ADDRESS_TEXT_SIZE);
	address_format(&hop, req->forwarded_peer);
}

static const char *
check_framing(const struct reading *r, const char *version)
{
	if (r->lengths > 1 || r->encodings > 1)
		return "The body's length is given twice.";
	if (r->lengths > 0 && r->encodings > 0)
		return "Content-Length and Transfer-Encoding exclude each other.";
	if (r->encodings > 0 && strcmp(version, "HTTP/1.0") == 0)
		return "HTTP/1.0 has no Transfer-Encoding.";
	if (r->hosts > 1)
		return "There is more than one Host.";
	if (r->hosts == 0 && strcmp(version, "HTTP/1.0") != 0)
		return "Host is missing.";
	return NULL;
}

static const char *
read_all(struct reading *r, const char *url, const char *method, const char *version)
{
	struct http_request *req = r->req;

	req->is_head = strcmp(method, "HEAD") == 0;
	req->method = req->is_head ? "GET" : method;
	req->is_1_0 = strcmp(version, "HTTP/1.0") == 0;
	req->path = path_of(url);
	if (!is_token(method, strlen(method)) ||
	    (MHD_CUTS_AT_NUL && req->uri != method + strlen(method) + 1))
		return "The method is malformed.";
	if (req->bad_uri || !utf8_ok(req->path, strlen(req->path)) ||
	    (MHD_CUTS_AT_NUL && version != req->uri + req->uri_len + 1))
		return "The address is malformed, not UTF-8, or has a NUL.";
	if (*req->path != '/' && strcmp(req->path, "*") != 0)
		return "The address is not a path.";
	r->end = version + strlen(version);
	MHD_get_connection_values_n(req->mhd, MHD_HEADER_KIND, on_field, r);
	if (r->bad == NULL)
		MHD_get_connection_values_n(req->mhd, MHD_GET_ARGUMENT_KIND, on_argument, r);
	if (r->bad != NULL)
		return r->bad;
	size_t head_len =
	    MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
	/* Two ends of line after the last header. */
	if (MHD_CUTS_AT_NUL && method + head_len != r->end + 4)
		return "A header field is malformed.";
	return check_framing(r, version);
}

const char *
http_head_read(struct http_request *req, const char *url, const char *method, const char *version)
{
	struct reading r = { .req = req };
	const char *bad = read_all(&r, url, method, version);

	req->has_body = req->chunked || req->content_length > 0;
	if (bad == NULL)
		note_forwarded(&r);
	buf_fini(&r.forwarded);
	return bad;
}

bool
http_takes_chunks(const struct http_request *req)
{
	return !req->is_1_0;
}

const char *
http_method(const struct http_request *req)
{
	return req->method;
}

const char *
http_path(const struct http_request *req)
{
	return req->path;
}

const char *
http_query(const struct http_request *req, const char *key)
{
	const char *value = NULL;

	if (MHD_lookup_connection_value_n(
		req->mhd, MHD_GET_ARGUMENT_KIND, key, strlen(key), &value, NULL) != MHD_YES)
		return NULL;
	return value != NULL ? value : ""; /* "?key" without "=" */
}

const char *
http_header(const struct http_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name);
}

const char *
http_cookie(const struct http_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->mhd, MHD_COOKIE_KIND, name);
}

const char *
http_peer(const struct http_request *req)
{
	return req->forwarded_peer != NULL ? req->forwarded_peer : bridge_peer(req->bridge);
}

enum front_door
http_door(const struct http_request *req)
{
	return bridge_door(req->bridge);
}
