/* main.c - the pump demo on an emulated board (board.h).
 *
 * The first UART is the link.  A second one is the bench: it takes 'a' (begin the next ageing
 * episode) and 'r' (reset), and writes a line a window, count,0,state,class,model_version,missed
 * (see hone-sim --truth; there is no wall clock).  A line that begins with '#' is a message. */
#include "app.h"
#include "board.h"
#include "option.h"
#include "pump.h"
#include "part.h"

enum { BUILD = 1, LINE_MAX = 80 };

struct line { uint8_t text[LINE_MAX]; size_t n; };

static struct app app;
static struct pump pump;
static struct option option;
static volatile bool sampling;
extern const char option_text[];         /* from the linker script */

static void put_char(struct line *l, char c)
{
	if (l->n < sizeof l->text)
		l->text[l->n++] = (uint8_t)c;
}

static void put_text(struct line *l, const char *s)
{
	while (*s != '\0')
		put_char(l, *s++);
}

static void put_u32(struct line *l, uint32_t v)
{
	char digits[10];
	unsigned n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	while (n > 0)
		put_char(l, digits[--n]);
}

/* A line that does not fit in the queue is dropped whole. */
static void put_end(struct line *l)
{
	put_char(l, '\n');
	(void)board_send(BOARD_CONSOLE, l->text, l->n);
}

static void message(const char *text)
{
	struct line l = { .n = 0 };

	put_text(&l, "# ");
	put_text(&l, text);
	put_end(&l);
}

static void truth_write(void *ctx, const struct app_window *w)
{
	struct line l = { .n = 0 };

	(void)ctx;
	put_u32(&l, w->count);
	put_text(&l, ",0,");
	put_u32(&l, w->state);
	put_char(&l, ',');
	if (w->class_index == APP_NO_CLASS)
		put_char(&l, '-');
	else
		put_u32(&l, (uint32_t)w->class_index);
	put_char(&l, ',');
	put_u32(&l, w->model_version);
	put_char(&l, ',');
	put_u32(&l, w->missed);
	put_end(&l);
}

/* In the timer's interrupt, which also keeps the clock while the device boots. */
static void on_frame(void)
{
	int16_t raw[PUMP_AXES];
	enum pump_state state;

	if (!sampling)
		return;
	state = pump_next(&pump, raw);
	app_sample(&app, raw, (uint8_t)state);
}

static bool link_send(void *ctx, const uint8_t *bytes, size_t n)
{
	(void)ctx;
	return board_send(BOARD_LINK, bytes, n);
}

static uint32_t clock_now_us(void *ctx)
{
	(void)ctx;
	return board_now_us();
}

static void age(void)
{
	bool begun;

	board_lock();
	begun = pump_age_next(&pump);
	board_unlock();
	if (!begun)
		message("all ageing episodes have begun");
}

static void console_poll(void)
{
	const uint8_t *bytes;
	size_t n = board_peek(BOARD_CONSOLE, &bytes);

	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == 'a')
			age();
		else if (bytes[i] == 'r')
			board_reset();
	}
	board_skip(BOARD_CONSOLE, n);
}

static void link_poll(void)
{
	const uint8_t *bytes;
	size_t n = board_peek(BOARD_LINK, &bytes);
	uint32_t lost = board_lost(BOARD_LINK);

	if (lost > 0)
		app_rx_lost(&app, lost);
	if (n > 0)
		board_skip(BOARD_LINK, app_rx(&app, bytes, n));
}

/* The emulated board has no source of random numbers.  Boots tell resets apart; the loader's text
 * tells power-ons apart when it brings a nonce.  A product takes this from its generator. */
static uint32_t boot_nonce(void)
{
	return option.nonce ^ option.seed ^ part_boots() * 0x9e3779b9u;
}

static hd_status boot(const struct hd_flash *flash, uint32_t period_us)
{
	struct app_config cfg = {
		.device = {
			.flash = flash, .key_id = (uint8_t)option.key_id, .credits = 4,
			.trial_boots = 3, .trial_inferences = option.trial, .nonce = boot_nonce(),
			.build = BUILD, .send = link_send, .now_us = clock_now_us,
		},
		.period_us = period_us, .deadline_us = option.deadline_us, .on_window = truth_write,
	};

	for (unsigned i = 0; i < HD_UID_LEN; i++)
		cfg.device.uid[i] = option.uid[i];
	for (unsigned i = 0; i < HD_KEY_LEN; i++)
		cfg.device.key[i] = option.key[i];
	return app_init(&app, &cfg);
}

static void start_sampling(uint32_t period_us)
{
	board_lock();
	app_start(&app, (board_frames() + 1) * period_us);
	sampling = true;
	board_unlock();
}

int main(void)
{
	bool options_good = option_read(&option, option_text, OPTION_TEXT_MAX);
	uint32_t period_us = 1000000 / option.rate_hz;
	uint32_t seen, broken = 0;

	pump_init(&pump, option.seed, option.rate_hz,
	          (uint32_t)((uint64_t)option.ramp_ms * option.rate_hz / 1000));
	board_init(period_us, on_frame);
	if (!options_good)
		message("the option text has an unknown word or a bad value");
	if (boot(part_open(), period_us) != HD_OK) {
		message("the device does not boot");
		for (;;)
			board_wait(board_frames());
	}
	start_sampling(period_us);
	for (;;) {
		seen = board_frames();
		console_poll();
		link_poll();
		app_poll(&app);
		if (part_violations() != broken) {
			broken = part_violations();
			message("flash rule broken");
		}
		board_wait(seen);
	}
}
