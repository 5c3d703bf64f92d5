// Three analog inputs, 32 readings a window, one class.  A honed gateway sends the weights.
#include <Honed.h>

const uint8_t CHANNELS = 3, WINDOW = 32;
const uint32_t PERIOD_US = 10000;
static uint8_t memory[RAM_SLOTS_BYTES(6144)] __attribute__((aligned(4)));
static uint32_t arena[128];
static int16_t raw[WINDOW * CHANNELS];
static uint32_t frame, next_us;
static ram_slots slots;
static hd_device device;

static bool send(void *, const uint8_t *bytes, size_t n) { return Serial.write(bytes, n) == n; }
static uint32_t now(void *) { return micros(); }
static uint32_t idle() {  // time until the next reading
  int32_t left = (int32_t)(next_us - micros());
  return left > 0 ? left : 0;
}

static void classify() {
  static int8_t in[WINDOW * CHANNELS], out[256];
  uint32_t last = micros();
  const hd_net *net = hd_service(&device, nullptr);  // the only place where new weights come in
  uint32_t first = last - (WINDOW - 1) * PERIOD_US;
  hd_send_samples(&device, first, PERIOD_US, frame - WINDOW, CHANNELS, WINDOW, raw);
  if (!net || net->in_len != WINDOW || net->in_ch != CHANNELS) return;
  for (uint8_t i = 0; i < WINDOW * CHANNELS; i++) in[i] = hd_net_scale(net, i % CHANNELS, raw[i]);
  hd_net_run(net, in, (uint8_t *)arena, out);
  uint8_t margin, answer = hd_net_answer(net, in, out, &margin);
  hd_inference_done(&device, false);
  hd_send_prediction(&device, last, frame - 1, answer, margin);
  digitalWrite(LED_BUILTIN, answer != 0);
}

void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  ram_slots_init(&slots, memory, sizeof memory);
  static hd_config c;
  const uint8_t uid[HD_UID_LEN] = {0, 0, 0, 0, 0, 0, 0, 1};  // `honectl key device` has c.key
  memcpy(c.uid, uid, sizeof uid);
  c.flash = &slots.port, c.arena = (uint8_t *)arena, c.arena_bytes = sizeof arena;
  c.credits = 1, c.trial_boots = 3, c.trial_inferences = 1000;
  c.nonce = micros() ^ analogRead(A0) << 16;  // a board with a random generator takes it from there
  c.send = send, c.now_us = now;
  hd_init(&device, &c);
  next_us = micros() + PERIOD_US;
}

void loop() {
  while (Serial.available()) {
    uint8_t b = Serial.read();
    while (hd_rx_bytes(&device, &b, 1) == 0) hd_poll(&device, 1000, idle());
  }
  hd_poll(&device, 1000, idle());
  if (idle() > 0) return;
  next_us += PERIOD_US;
  for (uint8_t c = 0; c < CHANNELS; c++) raw[frame % WINDOW * CHANNELS + c] = analogRead(A0 + c);
  if (++frame % WINDOW == 0) classify();
}
