// core.cpp - a core without a board: the sketch links, and so nothing is missing in the library.
#include "Arduino.h"

SerialStub Serial;
static volatile uint8_t uart;
static volatile unsigned long clock_us;

void SerialStub::begin(unsigned long) {}
int SerialStub::available() { return uart != 0; }
int SerialStub::read() { return uart; }
size_t SerialStub::write(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		uart = bytes[i];
	return n;
}

unsigned long micros() { return clock_us; }
int analogRead(uint8_t pin) { return pin; }
void pinMode(uint8_t, uint8_t) {}
void digitalWrite(uint8_t, uint8_t value) { uart = value; }

int main()
{
	setup();
	for (;;)
		loop();
}
