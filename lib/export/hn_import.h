/* hn_import.h - a net from an .onnx or .tflite file, trained elsewhere.
 *
 * The operators are followed from the input to the output and become layers and weights.  int8
 * files give the real values of their weights, and their grids as a calibration: made into an image
 * with that calibration, a channel whose largest weight is 127 steps has the integers of the file.
 * The bytes may be anything: each error names the operator. */
#ifndef HN_IMPORT_H
#define HN_IMPORT_H

#include "hn_arena.h"
#include "hn_model.h"
#include "hn_net.h"
#include "hn_quant.h"

struct hn_import_job {
	const uint8_t *file;             /* (len,) must outlive the call only                  */
	size_t len;
	struct hn_net_io io;             /* what the net must fit; in_len 0: as the file says  */
	struct hn_arena *arena;          /* hn_import_need(len) bytes                          */
};

struct hn_import {
	char net[HN_NET_TEXT_MAX];
	struct hn_net parsed;
	const float *weights;            /* (parsed.n_weights,) in the arena                   */
	bool int8;                       /* `calib` has the grid of every value                */
	struct hn_calib calib;
	bool noted;                      /* written by honed: the scaler is that of its counts */
	struct hn_scaler scaler;         /* what the file does to its input before the first layer:
	                                    z = (x - mean) / std; 0 and 1 when nothing           */
};

/* Bytes of arena that reading `len` bytes takes. */
size_t hn_import_need(size_t len);

/* Errors, with the operator in `err`: HN_EFORMAT (malformed; an operator, shape or padding that no
 * layer has), HN_ERANGE (the net does not fit `io` or a limit), HN_ENOMEM. */
hn_status hn_import_read(const struct hn_import_job *job, struct hn_import *out,
                         struct hn_err *err);
#endif
