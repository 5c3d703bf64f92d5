/* Arduino.h - as much of the core as the example sketch uses, for compilers without one. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { A0 = 14, LED_BUILTIN = 13, OUTPUT = 1 };

struct SerialStub {
	void begin(unsigned long baud);
	int available();
	int read();
	size_t write(const uint8_t *bytes, size_t n);
};
extern SerialStub Serial;

unsigned long micros();
int analogRead(uint8_t pin);
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);
void setup();
void loop();
#endif
