/* Asking the daemon: libcurl over the unix socket, or over TCP with --url. */
#include "ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = 16 << 20, TIMEOUT_S = 60, CONNECT_S = 5 };

static size_t on_data(char *data, size_t size, size_t n, void *ctx)
{
	struct ctl *c = ctx;
	const size_t len = size * n, need = c->answer_len + len + 1;
	char *grown;

	if (need > ANSWER_MAX)
		return 0;                /* libcurl reports a write error */
	if (need > c->answer_cap) {
		grown = realloc(c->answer, 2 * need);
		if (!grown)
			return 0;
		c->answer = grown;
		c->answer_cap = 2 * need;
	}
	memcpy(c->answer + c->answer_len, data, len);
	c->answer_len += len;
	c->answer[c->answer_len] = '\0';
	return len;
}

static int unreachable(const struct ctl *c, CURLcode rc)
{
	if (c->url)
		fprintf(stderr, "honectl: %s: %s; is honed running with this status.port?\n", c->url,
		        curl_easy_strerror(rc));
	else if (access(c->socket, W_OK) != 0 && errno == EACCES)
		fprintf(stderr, "honectl: %s: no permission; join its group (usermod -aG honed USER), then log in "
		        "again\n", c->socket);
	else if (access(c->socket, F_OK) != 0)
		fprintf(stderr, "honectl: %s: no such socket; is honed running? systemctl status honed\n",
		        c->socket);
	else
		fprintf(stderr, "honectl: %s: %s; is honed running? systemctl status honed\n", c->socket,
		        curl_easy_strerror(rc));
	return CTL_UNREACHABLE;
}

/* The problem's sentence, or the status alone. */
static int refused(const struct ctl *c, long status)
{
	json_t *o = json_loads(c->answer ? c->answer : "", 0, NULL);
	const char *detail = json_string_value(json_object_get(o, "detail"));

	fputs("honectl: ", stderr);
	if (detail)
		print_clean(stderr, detail);
	else
		fprintf(stderr, "HTTP status %ld: is this honed?", status);
	fputc('\n', stderr);
	json_decref(o);
	return status == 404 ? CTL_NOT_FOUND : CTL_REFUSED;
}

struct body { const char *type; const void *bytes; size_t len; };

static bool set_up(struct ctl *c, const char *method, const char *url, const struct body *body,
                   struct curl_slist *headers)
{
	CURL *h = c->curl;
	unsigned bad = CURLE_OK;

	curl_easy_reset(h);
	bad |= curl_easy_setopt(h, CURLOPT_URL, url);
	bad |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
	bad |= curl_easy_setopt(h, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
	bad |= curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	bad |= curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_data);
	bad |= curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
	bad |= curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	if (!c->url)
		bad |= curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	if (body) {
		bad |= curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long)body->len);
		bad |= curl_easy_setopt(h, CURLOPT_POSTFIELDS, body->bytes);
	}
	return bad == CURLE_OK;
}

static int answered(struct ctl *c, json_t **out)
{
	long status = 0;
	json_error_t e;

	(void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status >= 300)
		return refused(c, status);
	if (!out)
		return CTL_OK;
	*out = json_loads(c->answer ? c->answer : "", JSON_DECODE_ANY, &e);
	if (*out)
		return CTL_OK;
	fprintf(stderr, "honectl: the answer is not JSON: %s; is this honed?\n", e.text);
	return CTL_REFUSED;
}

/* A daemon that is just starting has no socket yet: with --patience, try again until it has. */
static CURLcode perform(struct ctl *c)
{
	enum { AGAIN_MS = 50 };
	CURLcode rc = curl_easy_perform(c->curl);

	for (int left = c->patience_s * 1000; rc == CURLE_COULDNT_CONNECT && left > 0; left -= AGAIN_MS) {
		(void)poll(NULL, 0, AGAIN_MS);   /* there is no event for a socket that does not exist */
		rc = curl_easy_perform(c->curl);
	}
	return rc;
}

static int ask(struct ctl *c, const char *method, const char *path, const struct body *body,
               json_t **out)
{
	struct curl_slist *headers = body ? curl_slist_append(NULL, body->type) : NULL;
	char url[2048];
	CURLcode rc;
	int code;

	if (!c->curl)
		c->curl = curl_easy_init();
	(void)snprintf(url, sizeof url, "%s%s", c->url ? c->url : "http://localhost", path);
	c->answer_len = 0;
	if (c->answer)
		c->answer[0] = '\0';
	if (!c->curl || (body && !headers) || !set_up(c, method, url, body, headers)) {
		fputs("honectl: out of memory, or a libcurl without unix sockets\n", stderr);
		code = CTL_REFUSED;
	} else {
		rc = perform(c);
		code = rc == CURLE_OK ? answered(c, out) : unreachable(c, rc);
	}
	curl_slist_free_all(headers);
	return code;
}

int ctl_ask(struct ctl *c, const char *method, const char *path, json_t *body, json_t **out)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const struct body b = { "Content-Type: application/json", text, text ? strlen(text) : 0 };
	int code = CTL_REFUSED;

	if (body && !text)
		fputs("honectl: out of memory\n", stderr);
	else
		code = ask(c, method, path, text ? &b : NULL, out);
	json_decref(body);
	free(text);
	return code;
}

int ctl_send(struct ctl *c, const char *path, const struct ctl_file *file, json_t **out)
{
	const struct body b = { "Content-Type: application/octet-stream", file->bytes, file->len };

	return ask(c, "POST", path, &b, out);
}

void ctl_path(struct ctl *c, const char *collection, const char *name, const char *tail,
              char *out, size_t cap)
{
	char *escaped;

	if (!c->curl)
		c->curl = curl_easy_init();
	escaped = c->curl ? curl_easy_escape(c->curl, name, 0) : NULL;
	(void)snprintf(out, cap, "/api/v1/%s/%s%s", collection, escaped ? escaped : "", tail);
	curl_free(escaped);
}

void ctl_print_answer(const struct ctl *c)
{
	if (!c->answer || c->answer_len == 0)
		return;
	(void)fwrite(c->answer, 1, c->answer_len, stdout);       /* main looks at stdout at the end */
	if (c->answer[c->answer_len - 1] != '\n')
		(void)putchar('\n');
}

void ctl_close(struct ctl *c)
{
	if (c->curl)
		curl_easy_cleanup(c->curl);
	free(c->answer);
}
