# hd_slots.c: the CRC of a record is not looked at
s/r\[CHECK\] != hd_crc32c(0, (const uint8_t \*)r, TAKEN_CRC) ||/r[SEQ] == 0xffffffffu ||/
