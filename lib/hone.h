/* hone.h - the training core as a library: all that a program needs which trains, quantises and
 * stores a net.  Link with libhone and libm; nothing here allocates, does I/O or keeps state. */
#ifndef HONE_H
#define HONE_H

#include "hn_arena.h"            /* memory comes from the caller                              */
#include "hn_csv.h"              /* lines of comma-separated values                           */
#include "hn_dataset.h"          /* split, scaler                                             */
#include "hn_export.h"           /* to .onnx and .tflite                                      */
#include "hn_import.h"           /* and from them                                             */
#include "hn_metrics.h"          /* accuracy and its relatives                                */
#include "hn_model.h"            /* weights and everything to run them, as one blob           */
#include "hn_net.h"              /* a network from text                                       */
#include "hn_quant.h"            /* int8 for microcontrollers                                 */
#include "hn_run.h"              /* forward and backward                                      */
#include "hn_train.h"            /* the fit loop                                              */
#endif
