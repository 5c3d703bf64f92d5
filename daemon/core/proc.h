/* proc.h - child processes with a message pipe, and talking to the service manager. */
#ifndef PROC_H
#define PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "hn_status.h"

/* A message on the pipe of a child: u32 length of the body (little-endian), u8 type, body. */
enum { PROC_MESSAGE_MAX = 16 << 20 };

struct proc;
struct proc_cfg {
	uv_loop_t  *loop;
	const char *const *argv;         /* NULL-terminated; argv[0] is the path of the program  */
	const void *input;               /* written to the child's stdin, then closed; copied    */
	size_t      input_len;
	uint64_t    memory_max;          /* RLIMIT_AS in bytes, 0 = none                         */
	bool        idle;                /* nice 19 and SCHED_IDLE                               */
	double      time_max_s;          /* killed after it, 0 = never                           */
	void       *ctx;
	/* One whole message; `body` is valid during the call. */
	void (*on_message)(void *ctx, uint8_t type, const uint8_t *body, uint32_t len);
	/* The child is gone and its pipe is drained; `reason` is one sentence ("killed by signal 9",
	 * "exit status 70").  The proc is freed after the call. */
	void (*on_exit)(void *ctx, bool ok, const char *reason);
};

/* Start.  The child's stdout is the message pipe, its stderr goes to ours; it learns its limits
 * from its environment (proc_apply_limits).  SIGPIPE is ignored from here on.  Errors: HN_EIO,
 * HN_ENOMEM; on_exit is not called then. */
hn_status proc_start(struct proc **out, const struct proc_cfg *cfg, struct hn_err *err);

/* SIGTERM now, SIGKILL after `grace_s` (0: at once); on_exit still comes. */
void proc_stop(struct proc *p, double grace_s);
int proc_pid(const struct proc *p);

/* In on_exit: it ended by a signal, and not because it ran too long or said something wrong. */
bool proc_killed(const struct proc *p);

/* A child's main calls this first: takes HONE_MEMORY_MAX (RLIMIT_AS) and HONE_IDLE from the
 * environment, dies with its parent, writes no core file, opens no socket.  Without these
 * variables: only the last two. */
void proc_apply_limits(void);

/* sd_notify(3) without libsystemd: "READY=1", "RELOADING=1\nMONOTONIC_USEC=...", "STATUS=...",
 * "WATCHDOG=1", "STOPPING=1".  No NOTIFY_SOCKET: a no-op. */
void notify_send(const char *state);

/* Interval at which "WATCHDOG=1" is due (half of WATCHDOG_USEC), 0 = no watchdog asked for. */
int64_t notify_watchdog_us(void);
#endif
