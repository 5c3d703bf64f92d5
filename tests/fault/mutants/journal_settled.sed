# hd_slots.c: a state that is not settled is not written again at boot
s/} else if (settled) {/} else {/; s/^\treturn hd_slots_note(s, state, s->floor);/\treturn s->kind == HD_REC_TRIAL ? hd_slots_note(s, state, s->floor) : HD_OK;/
