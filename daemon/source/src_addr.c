#include "src_addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include <uv.h>
#include "hn_number.h"

static const struct { const char *prefix; enum addr_kind kind; } prefixes[] = {
	{ "tcp:", ADDR_TCP }, { "udp:", ADDR_UDP }, { "mqtt:", ADDR_MQTT },
	{ "unix:", ADDR_UNIX }, { "/", ADDR_PATH },
};

/* "host:port" or "[v6]:port" into host (cap,) and port. */
static hn_status host_port(const char *text, char *host, size_t cap, int *port)
{
	const char *colon = strrchr(text, ':');
	int64_t number;
	size_t n;

	if (!colon || !hn_number_int(colon + 1, strlen(colon + 1), &number)
	    || number < 1 || number > 65535)
		return HN_EFORMAT;
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= cap)
		return HN_EFORMAT;
	memcpy(host, text, n);
	host[n] = '\0';
	*port = (int)number;
	return HN_OK;
}

static hn_status ip_parse(struct addr *a, const char *text, struct hn_err *err)
{
	char host[64];
	int port;

	if (strncmp(text, "//", 2) == 0)
		text += 2;
	if (host_port(text, host, sizeof host, &port))
		return hn_fail(err, HN_EFORMAT, "'%s' is not host:port with a port of 1 to 65535", text);
	if (strcmp(host, "localhost") == 0)
		memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
	if (uv_ip4_addr(host, port, (struct sockaddr_in *)&a->ip) != 0
	    && uv_ip6_addr(host, port, (struct sockaddr_in6 *)&a->ip) != 0)
		return hn_fail(err, HN_EFORMAT, "'%s' is not a numeric address or localhost", host);
	return HN_OK;
}

static hn_status path_parse(struct addr *a, const char *text, struct hn_err *err)
{
	size_t cap = a->kind == ADDR_UNIX ? sizeof ((struct sockaddr_un *)0)->sun_path
	                                  : sizeof a->path, n;

	if (a->kind == ADDR_UNIX && strncmp(text, "//", 2) == 0)
		text += 2;
	n = strlen(text);
	if (n == 0 || n >= cap)
		return hn_fail(err, HN_ERANGE, "a path of 1 to %zu bytes is needed, not '%s'", cap - 1,
		               text);
	memcpy(a->path, text, n + 1);
	return HN_OK;
}

hn_status addr_parse(struct addr *a, const char *text, struct hn_err *err)
{
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		size_t n = strlen(prefixes[i].prefix);

		if (strncmp(text, prefixes[i].prefix, n) != 0)
			continue;
		*a = (struct addr){ .kind = prefixes[i].kind };
		if (a->kind != ADDR_UNIX && a->kind != ADDR_PATH)
			return ip_parse(a, text + n, err);
		return path_parse(a, a->kind == ADDR_UNIX ? text + n : text, err);
	}
	return hn_fail(err, HN_EFORMAT, "'%s' is none of tcp://host:port, udp://host:port, unix:/path, "
	               "/path", text);
}

socklen_t addr_len(const struct addr *a)
{
	return a->ip.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}
