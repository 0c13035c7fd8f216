/*
 * The way to the server: one request at a time, over the unix socket or HTTPS,
 * waiting for each. Must not know what is asked.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/json.h"

#define CONNECT_S 10L
#define ASK_S 120L
/* A stream that is silent for so long has lost its server: heartbeats come every 20 s by default. */
#define SILENCE_S 90L
/* What is believed of an answer before it is given up. */
#define ANSWER_BYTES_MAX (64u << 20)

struct request {
	const struct ctl *ctl;
	CURL *curl;
	struct curl_slist *headers;
	char *url;
	char error[CURL_ERROR_SIZE];
};

static size_t on_answer(char *, size_t, size_t, void *);
static size_t on_stream(char *, size_t, size_t, void *);

static char *
url_of(CURL *curl, const struct ctl *ctl, const char *path, const struct ctl_param *params)
{
	const struct ctl_param tenant[] = { { "tenant", ctl->tenant }, { NULL, NULL } };
	const struct ctl_param *const lists[] = { params, tenant };
	struct buf url = { 0 };
	const char *base = ctl->url != NULL ? ctl->url : "http://callbackd";
	size_t len = strlen(base);
	char mark = '?';

	while (len > 0 && base[len - 1] == '/')
		len--;
	buf_add(&url, base, len);
	buf_puts(&url, path);
	for (size_t i = 0; i < 2; i++)
		for (const struct ctl_param *p = lists[i]; p != NULL && p->name != NULL; p++) {
			if (p->value == NULL)
				continue;
			char *value = curl_easy_escape(curl, p->value, 0);
			buf_printf(&url, "%c%s=%s", mark, p->name, value);
			curl_free(value);
			mark = '&';
		}
	return buf_take(&url);
}

static void
request_header(struct request *r, const char *name, const char *value)
{
	char *line = xasprintf("%s: %s", name, value);

	r->headers = curl_slist_append(r->headers, line);
	free(line);
}

static void
request_init(
    struct request *r, const struct ctl *ctl, const char *path, const struct ctl_param *params)
{
	*r = (struct request){ .ctl = ctl, .curl = curl_easy_init() };
	r->url = url_of(r->curl, ctl, path, params);
	curl_easy_setopt(r->curl, CURLOPT_URL, r->url);
	curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(r->curl, CURLOPT_USERAGENT, "callbackctl/" PACKAGE_VERSION);
	if (ctl->url == NULL) {
		curl_easy_setopt(r->curl, CURLOPT_UNIX_SOCKET_PATH, ctl->socket);
		/* $http_proxy is for others. */
		curl_easy_setopt(r->curl, CURLOPT_PROXY, "");
		return;
	}
	char *bearer = xasprintf("Bearer %s", ctl->token);
	request_header(r, "Authorization", bearer);
	free(bearer);
	if (ctl->cacert != NULL)
		curl_easy_setopt(r->curl, CURLOPT_CAINFO, ctl->cacert);
}

static void
request_fini(struct request *r)
{
	curl_easy_cleanup(r->curl);
	curl_slist_free_all(r->headers);
	free(r->url);
}

static CURLcode
request_run(
    struct request *r, size_t (*on_bytes)(char *, size_t, size_t, void *), void *arg, long *status)
{
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->headers);
	curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, arg);
	CURLcode code = curl_easy_perform(r->curl);
	*status = 0;
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, status);
	return code;
}

static void
complain_unreachable(const struct request *r, CURLcode code)
{
	long error = 0;

	curl_easy_getinfo(r->curl, CURLINFO_OS_ERRNO, &error);
	/* Of a unix socket curl says "port 80", which there is none of. */
	if (r->ctl->url == NULL && code == CURLE_COULDNT_CONNECT && error != 0)
		ctl_complain("%s: %s", r->ctl->socket, strerror((int)error));
	else
		ctl_complain("%s: %s", r->ctl->url != NULL ? r->ctl->url : r->ctl->socket,
		    *r->error != '\0' ? r->error : curl_easy_strerror(code));
}

/* What the server says against it: the sentence and the state that refused, then every wrong field. */
static void
complain_refused(long status, const json_t *problem)
{
	const json_t *errors = json_object_get(problem, "errors");
	const json_t *state = json_object_get(json_object_get(problem, "callback"), "state");
	struct buf line = { 0 };
	const json_t *item;
	size_t i;

	if (json_text(problem, "detail") != NULL)
		ctl_text_add(&line, json_object_get(problem, "detail"));
	else
		buf_printf(&line, "the server answered %ld", status);
	if (state != NULL) {
		buf_puts(&line, " It is ");
		ctl_text_add(&line, state);
		buf_puts(&line, ".");
	}
	ctl_complain("%s", line.data);
	json_array_foreach (errors, i, item) {
		buf_reset(&line);
		ctl_text_add(&line, json_object_get(item, "field"));
		buf_puts(&line, ": ");
		ctl_text_add(&line, json_object_get(item, "message"));
		ctl_complain("%s", line.data);
	}
	buf_fini(&line);
}

static size_t
on_answer(char *bytes, size_t size, size_t n, void *arg)
{
	struct buf *answer = arg;

	if (answer->len + size * n > ANSWER_BYTES_MAX)
		return 0;
	buf_add(answer, bytes, size * n);
	return size * n;
}

/* The body of an answer, or NULL when it was a refusal or no JSON. */
static json_t *
answer_read(long status, const struct buf *answer)
{
	const char *why = "";
	json_t *body = answer->len == 0 ? json_null() : json_parse(answer->data, answer->len, &why);

	if (status >= 200 && status < 300 && body != NULL)
		return body;
	if (status >= 200 && status < 300)
		ctl_complain("the answer makes no sense: %s", why);
	else
		complain_refused(status, body);
	json_decref(body);
	return NULL;
}

json_t *
ctl_ask(const struct ctl *ctl, const char *method, const char *path, const struct ctl_param *params,
    const json_t *body)
{
	char *text = body != NULL ? json_line(body) : NULL;
	struct buf answer = { 0 };
	struct request r;
	json_t *result = NULL;
	long status;

	request_init(&r, ctl, path, params);
	request_header(&r, "Accept", "application/json");
	if (ctl->if_match != NULL)
		request_header(&r, "If-Match", ctl->if_match);
	curl_easy_setopt(r.curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(r.curl, CURLOPT_TIMEOUT, ASK_S);
	if (text != NULL) {
		request_header(&r, "Content-Type", "application/json");
		/* Or curl waits a second for a "100 Continue". */
		request_header(&r, "Expect", "");
		curl_easy_setopt(r.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
		curl_easy_setopt(r.curl, CURLOPT_POSTFIELDS, text);
	}
	CURLcode code = request_run(&r, on_answer, &answer, &status);
	if (code != CURLE_OK)
		complain_unreachable(&r, code);
	else
		result = answer_read(status, &answer);
	request_fini(&r);
	buf_fini(&answer);
	free(text);
	return result;
}

/* What is being copied; or the body of a refusal. */
struct copy {
	struct request *request;
	struct buf refusal;
};

static size_t
on_copy(char *bytes, size_t size, size_t n, void *arg)
{
	struct copy *copy = arg;
	long status = 0;

	curl_easy_getinfo(copy->request->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return fwrite(bytes, size, n, stdout) * size;
	return on_answer(bytes, size, n, &copy->refusal);
}

bool
ctl_copy(const struct ctl *ctl, const char *path, const struct ctl_param *params)
{
	struct request r;
	struct copy copy = { .request = &r };
	const char *why;
	long status;

	request_init(&r, ctl, path, params);
	curl_easy_setopt(r.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(r.curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	CURLcode code = request_run(&r, on_copy, &copy, &status);
	if (code != CURLE_OK) {
		complain_unreachable(&r, code);
	} else if (status != 200) {
		json_t *problem = copy.refusal.len > 0
		    ? json_parse(copy.refusal.data, copy.refusal.len, &why)
		    : NULL;
		complain_refused(status, problem);
		json_decref(problem);
	}
	request_fini(&r);
	buf_fini(&copy.refusal);
	return code == CURLE_OK && status == 200;
}

/* A stream of Server-Sent Events being read: what its lines have said since the last empty one. */
struct follow {
	struct request *request;
	struct buf rest; /* the line that has not ended; or the body of a refusal */
	struct buf data;
	char *kind;
	char **last_id;
	long *retry_ms;
	ctl_event_fn event;
	void *arg;
};

static void
dispatch(struct follow *f)
{
	if (f->data.len > 0)
		f->event(f->arg, *f->last_id != NULL ? *f->last_id : "",
		    f->kind != NULL ? f->kind : "", f->data.data);
	buf_reset(&f->data);
	free(f->kind);
	f->kind = NULL;
}

static void
on_line(struct follow *f, char *line)
{
	char *value = strchr(line, ':');

	if (*line == '\0') {
		dispatch(f);
		return;
	}
	if (value == line)
		return;
	if (value != NULL) {
		*value++ = '\0';
		value += *value == ' ';
	} else {
		value = line + strlen(line);
	}
	if (strcmp(line, "data") == 0) {
		buf_puts(&f->data, f->data.len > 0 ? "\n" : "");
		buf_puts(&f->data, value);
	} else if (strcmp(line, "event") == 0) {
		free(f->kind);
		f->kind = xstrdup(value);
	} else if (strcmp(line, "id") == 0) {
		free(*f->last_id);
		*f->last_id = xstrdup(value);
	} else if (strcmp(line, "retry") == 0) {
		*f->retry_ms = strtol(value, NULL, 10);
	}
}

static size_t
on_stream(char *bytes, size_t size, size_t n, void *arg)
{
	struct follow *f = arg;
	size_t done = 0;
	long status = 0;
	char *end;

	if (f->rest.len + size * n > ANSWER_BYTES_MAX)
		return 0;
	buf_add(&f->rest, bytes, size * n);
	curl_easy_getinfo(f->request->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return size * n;
	while ((end = memchr(f->rest.data + done, '\n', f->rest.len - done)) != NULL) {
		*end = '\0';
		if (end > f->rest.data + done && end[-1] == '\r')
			end[-1] = '\0';
		on_line(f, f->rest.data + done);
		done = (size_t)(end - f->rest.data) + 1;
	}
	memmove(f->rest.data, f->rest.data + done, f->rest.len - done + 1);
	f->rest.len -= done;
	return size * n;
}

/* 429 and 5xx pass; what else is not 200 stays as it is. */
static enum ctl_follow
follow_end(const struct request *r, CURLcode code, long status, const struct buf *answer)
{
	if (status == 200)
		return CTL_FOLLOW_ENDED;
	if (status == 0) {
		complain_unreachable(r, code);
		return CTL_FOLLOW_UNREACHABLE;
	}
	const char *why;
	json_t *problem = answer->len > 0 ? json_parse(answer->data, answer->len, &why) : NULL;
	complain_refused(status, problem);
	json_decref(problem);
	return status == 429 || status >= 500 ? CTL_FOLLOW_UNREACHABLE : CTL_FOLLOW_REFUSED;
}

enum ctl_follow
ctl_follow(const struct ctl *ctl, const char *path, char **last_id, long *retry_ms,
    ctl_event_fn event, void *arg)
{
	struct request r;
	struct follow f = {
		.request = &r, .last_id = last_id, .retry_ms = retry_ms, .event = event, .arg = arg
	};
	long status;

	request_init(&r, ctl, path, NULL);
	request_header(&r, "Accept", "text/event-stream");
	if (*last_id != NULL)
		request_header(&r, "Last-Event-ID", *last_id);
	curl_easy_setopt(r.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(r.curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	CURLcode code = request_run(&r, on_stream, &f, &status);
	enum ctl_follow end = follow_end(&r, code, status, &f.rest);
	request_fini(&r);
	buf_fini(&f.rest);
	buf_fini(&f.data);
	free(f.kind);
	return end;
}
