# hd_slots.c: a state that is written again forgets the floor
s/return hd_slots_note(s, state, s->floor);/return hd_slots_note(s, state, 0);/
