/* SPDX-License-Identifier: MIT */
/* quicshim-policy: check a policy file, and tell which of its sections decides about a socket. */
#include "policy.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef QS_VERSION
#define QS_VERSION "0.1.0"
#endif

enum { EXIT_BAD_POLICY = 1, EXIT_USAGE = 2, EXIT_NO_SECTION = 3 };

static const char usage_text[] =
	"usage: quicshim-policy [--policy FILE] check [FILE]\n"
	"       quicshim-policy [--policy FILE] [--address ADDRESS] explain connect HOST PORT\n"
	"       quicshim-policy [--policy FILE] explain listen ADDRESS PORT\n";

struct options {
	const char *policy; /* NULL: look for it */
	const char *address; /* what a host name stands for; NULL: resolve it */
};

static int usage(void)
{
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

/* Load the policy that the options, or the search order, name. 0 or an exit status. */
static int load(const struct options *options, struct qs_policy **out)
{
	struct qs_policy_error err;
	char path[4096];

	*out = NULL;
	if (!options->policy) {
		int found = qs_policy_locate(path, sizeof(path));

		if (found < 0) {
			fputs("quicshim-policy: the path of the policy file is too long\n", stderr);
			return EXIT_BAD_POLICY;
		}
		if (!found) {
			fputs("quicshim-policy: there is no policy file, so nothing is mapped; "
			      "name one with --policy\n",
			      stderr);
			return EXIT_BAD_POLICY;
		}
	}
	if (qs_policy_load(options->policy ? options->policy : path, geteuid(), out, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_BAD_POLICY;
	}
	return 0;
}

static int check(struct options *options, int argc, char **argv)
{
	struct qs_policy *policy;
	int ret;

	if (argc > 2 || (argc == 2 && options->policy))
		return usage();
	if (argc == 2)
		options->policy = argv[1];
	ret = load(options, &policy);
	if (ret)
		return ret;
	printf("%s: good, %u section%s\n", policy->path, policy->n_rules,
	       policy->n_rules == 1 ? "" : "s");
	qs_policy_free(policy);
	return 0;
}

static void print_header(const struct qs_rule *r)
{
	char host[INET6_ADDRSTRLEN] = "*";

	if (r->match == QS_MATCH_PREFIX)
		inet_ntop(r->family, r->addr, host, sizeof(host));
	printf("[%s %s", r->listen ? "listen" : "connect", r->name ? r->name : host);
	if (r->match == QS_MATCH_PREFIX && r->prefix_len != (r->family == AF_INET ? 32 : 128))
		printf("/%u", r->prefix_len);
	if (r->port_lo == 0)
		puts(" *]");
	else if (r->port_lo == r->port_hi)
		printf(" %u]\n", r->port_lo);
	else
		printf(" %u-%u]\n", r->port_lo, r->port_hi);
}

static void print_endpoint(const struct qs_rule *r, const char *host, unsigned port)
{
	const struct sockaddr *sa = (const struct sockaddr *)&r->endpoint;
	char buf[INET6_ADDRSTRLEN];

	if (r->endpoint_any)
		host = "*";
	else if (r->has_endpoint_addr && getnameinfo(sa, sizeof(r->endpoint), buf, sizeof(buf),
						     NULL, 0, NI_NUMERICHOST) == 0)
		host = buf;
	printf(strchr(host, ':') ? "endpoint = [%s]:%u\n" : "endpoint = %s:%u\n", host,
	       r->endpoint_port ? r->endpoint_port : port);
}

static void print_path(const char *key, const char *path, const char *otherwise)
{
	if (path)
		printf("%s = %s\n", key, path);
	else
		printf("# %s: %s\n", key, otherwise);
}

static void print_duration(const char *key, uint64_t ns)
{
	uint64_t ms = ns / 1000000;

	if (ms % 1000)
		printf("%s = %llums\n", key, (unsigned long long)ms);
	else
		printf("%s = %llus\n", key, (unsigned long long)ms / 1000);
}

/* All of it is a valid section again; what no key can say is in comments. */
static void print_rule(const struct qs_policy *policy, const struct qs_rule *r, const char *host,
		       unsigned port, const char *server_name)
{
	static const char *const steering[] = {[QS_STEERING_AUTO] = "auto",
					       [QS_STEERING_EBPF] = "ebpf",
					       [QS_STEERING_CLASSIC] = "classic",
					       [QS_STEERING_HASH] = "hash"};
	static const char *const congestion[] = {
		[QS_CC_CUBIC] = "cubic", [QS_CC_BBR] = "bbr", [QS_CC_RENO] = "reno"};

	print_header(r);
	if (r->mode == QS_MODE_TCP) {
		puts("mode = tcp");
		return;
	}
	printf("mode = %s\n", r->mode == QS_MODE_PREFER ? "prefer" : "quic");
	print_endpoint(r, host, port);
	printf("alpn = %s\n", r->alpn);
	if (r->listen) {
		print_path("server-name", r->server_names, "any");
	} else {
		print_path("server-name", server_name,
			   "none, the certificate must name the address");
		print_path("ca", r->ca, "the system's trust store");
	}
	print_path("cert", r->cert, "none");
	print_path("key", r->key, "none");
	if (r->listen) {
		print_path("client-ca", r->client_ca, "none, clients need no certificate");
		printf("workers = %u\n", r->workers);
		printf("steering = %s\n", steering[r->steering]);
		printf("host-id = %u\n", r->host_id);
		print_path("cid-key", r->cid_key, "none, connection IDs are in the open");
		if (r->udp_owner >= 0)
			printf("udp-owner = %lld\n", (long long)r->udp_owner);
	} else {
		printf("connections = %u\n", r->connections);
		printf("streams = %s\n", r->stream_per_connection ? "one" : "shared");
	}
	print_duration("linger", r->linger_ns);
	print_duration("idle-timeout", r->idle_timeout_ns);
	print_duration("handshake-timeout", r->handshake_timeout_ns);
	if (r->keep_alive_ns)
		print_duration("keep-alive", r->keep_alive_ns);
	else
		puts("# keep-alive: a third of idle-timeout");
	printf("congestion = %s\n", congestion[r->congestion]);
	if (r->mode == QS_MODE_PREFER && !r->listen) {
		print_duration("head-start", r->head_start_ns);
		print_duration("retry-after", r->retry_after_ns);
		printf("on-bad-certificate = %s\n", r->plain_on_bad_certificate ? "tcp" : "fail");
	}
	puts("early-data = no");
	printf("migration = %s\n", r->migration ? "yes" : "no");
	printf("# engine: %s\n", policy->placement == QS_PLACEMENT_THREAD ? "thread" : "process");
}

/* One address. Returns an exit status. */
static int explain_address(const struct qs_policy *policy, bool listen, const struct sockaddr *sa,
			   socklen_t len, const char *name, const char *port_text)
{
	const char *const names[] = {name};
	const struct qs_rule *rule;
	char host[INET6_ADDRSTRLEN + 32];

	if (getnameinfo(sa, len, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
		return EXIT_USAGE;
	rule = listen ? qs_policy_find_listen(policy, sa)
		      : qs_policy_find_connect(policy, sa, names, name ? 1 : 0);
	if (!rule) {
		printf("# %s: no section is about %s %s%s%s%s port %s; it stays plain TCP\n",
		       policy->path, listen ? "listen on" : "connect to", name ? name : "",
		       name ? " (" : "", host, name ? ")" : "", port_text);
		return EXIT_NO_SECTION;
	}
	printf("# %s:%d decides about %s %s%s%s%s port %s\n", policy->path, rule->line,
	       listen ? "listen on" : "connect to", name ? name : "", name ? " (" : "", host,
	       name ? ")" : "", port_text);
	print_rule(policy, rule, host, (unsigned)strtoul(port_text, NULL, 10),
		   qs_rule_server_name(rule, names, name ? 1 : 0));
	return 0;
}

static bool is_port(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && n >= 1 && n <= 65535;
}

static int explain(const struct options *options, int argc, char **argv)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				 .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct qs_policy *policy;
	const char *host, *port, *name = NULL;
	bool listen;
	int ret, one;

	if (argc != 4 || (strcmp(argv[1], "connect") != 0 && strcmp(argv[1], "listen") != 0))
		return usage();
	listen = strcmp(argv[1], "listen") == 0;
	host = argv[2];
	port = argv[3];
	if (!is_port(port)) {
		fprintf(stderr, "quicshim-policy: bad port \"%s\"\n", port);
		return EXIT_USAGE;
	}
	ret = load(options, &policy);
	if (ret)
		return ret;
	ret = getaddrinfo(host, port, &hints, &list);
	if (ret == EAI_NONAME && !listen) {
		name = host;
		if (!options->address)
			hints.ai_flags = AI_NUMERICSERV;
		ret = getaddrinfo(options->address ? options->address : name, port, &hints, &list);
	}
	if (ret) {
		fprintf(stderr, "quicshim-policy: %s: %s%s\n",
			name && options->address ? options->address : host, gai_strerror(ret),
			listen	? "; write an address, 0.0.0.0 or :: for all"
			: !name ? ""
				: "; say what it stands for with --address");
		qs_policy_free(policy);
		return EXIT_USAGE;
	}
	ret = EXIT_NO_SECTION;
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		one = explain_address(policy, listen, ai->ai_addr, ai->ai_addrlen, name, port);
		if (one != EXIT_NO_SECTION)
			ret = one;
		if (ai->ai_next)
			putchar('\n');
	}
	freeaddrinfo(list);
	qs_policy_free(policy);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"address", required_argument, NULL, 'a'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct options options = {0};
	int c, ret;

	while ((c = getopt_long(argc, argv, "+p:a:hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'p':
			options.policy = optarg;
			break;
		case 'a':
			options.address = optarg;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'V':
			puts("quicshim-policy " QS_VERSION);
			return 0;
		default:
			return usage();
		}
	}
	argc -= optind;
	argv += optind;
	if (argc >= 1 && strcmp(argv[0], "check") == 0 && !options.address)
		ret = check(&options, argc, argv);
	else if (argc >= 1 && strcmp(argv[0], "explain") == 0)
		ret = explain(&options, argc, argv);
	else
		return usage();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("quicshim-policy: writing the answer");
		return EXIT_USAGE;
	}
	return ret;
}
