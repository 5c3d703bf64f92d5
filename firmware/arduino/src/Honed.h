/* Honed.h - the device library of honed for Arduino sketches, which are C++. */
#ifndef HONED_H
#define HONED_H

#ifdef __cplusplus
extern "C" {
#endif
#include "hd_device.h"
#include "hd_sketch.h"
#include "ram_slots.h"
#ifdef __cplusplus
}
#endif
#endif
