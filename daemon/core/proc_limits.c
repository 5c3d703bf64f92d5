/* What a child does to itself first: a parent cannot, because nothing of ours runs between fork and
 * exec.  Needs no libuv. */
#include "proc.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The sanitizers reserve terabytes of addresses: there the limit would end every child. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESS_LIMIT 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ADDRESS_LIMIT 0
#endif
#endif
#ifndef ADDRESS_LIMIT
#define ADDRESS_LIMIT 1
#endif

/* No new socket from here on: a child has its pipe and its files.  A kernel without seccomp is no
 * reason not to work. */
static void no_network(void)
{
	static struct sock_filter rule[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef __NR_socketcall
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socketcall, 1, 0),
#endif
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = sizeof rule / sizeof rule[0], .filter = rule };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

void proc_apply_limits(void)
{
	const char *memory = getenv("HONE_MEMORY_MAX"), *parent = getenv("HONE_PARENT");
	const struct sched_param zero = { .sched_priority = 0 };
	const struct rlimit none = { 0, 0 };
	struct rlimit as;

	if (parent) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (strtol(parent, NULL, 10) != (long)getppid())
			_exit(1);        /* it died before we asked to be told */
	}
	if (memory && ADDRESS_LIMIT) {   /* lowering needs no right; a lower limit stands already */
		as.rlim_cur = as.rlim_max = (rlim_t)strtoull(memory, NULL, 10);
		(void)setrlimit(RLIMIT_AS, &as);
	}
	no_network();
	(void)setrlimit(RLIMIT_CORE, &none);     /* weights do not belong into a core file */
	if (getenv("HONE_IDLE")) {
		(void)setpriority(PRIO_PROCESS, 0, 19);
		(void)sched_setscheduler(0, SCHED_IDLE, &zero);
	}
}
