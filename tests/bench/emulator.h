/* emulator.h - the emulated boards: start QEMU with a program, talk to its UART. */
#ifndef EMULATOR_H
#define EMULATOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct emulator_board {
	const char *name, *core, *emulator, *machine;
	uint32_t option_at;              /* where the loader puts the option text                */
	int shift;                       /* -icount: 2^shift ns an instruction                   */
};

extern const struct emulator_board emulator_boards[];
enum { EMULATOR_BOARDS = 5 };

struct emulator {
	const struct emulator_board *board;
	int   fd;                        /* the first UART, does not block                       */
	pid_t pid;
};

/* Is firmware/BOARD/PROGRAM.elf there?  Says what is missing when it is not. */
bool emulator_has(const struct emulator_board *b, const char *firmware, const char *program);

/* Run firmware/BOARD/PROGRAM.elf.  `options` (may be NULL) is text for the loader; with `in_step`
 * an instruction takes a fixed virtual time.  Stops this process when it cannot. */
void emulator_start(struct emulator *e, const char *firmware, const char *program,
                    const char *options, bool in_step);
void emulator_stop(struct emulator *e);

/* One line on stderr with the board and errno; stops the emulator and this process. */
void emulator_die(struct emulator *e, const char *what) __attribute__((noreturn));
#endif
