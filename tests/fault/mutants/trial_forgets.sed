# hd_slots.c: the boot during a trial forgets the way back, and goes there
s/^\t\ts->fell_back = !good || s->boots == 0;/\t\ts->fell_back = true;\n\t\ts->other = HD_SLOT_NONE;/
