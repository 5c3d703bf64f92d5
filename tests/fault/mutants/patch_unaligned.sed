# hd_chunk.c: a rebuilt piece is programmed one piece too far
s/rc = program(d, d->solid, out, room);/rc = program(d, d->solid + HD_GRAIN, out, room);/
