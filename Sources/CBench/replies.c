#define _GNU_SOURCE
#include "replies.h"

#include <string.h>

// A ttrpc frame: length, stream, kind (2: response), flags. A response begins with its status, which is empty
// (field 1, no bytes) where all is well.
static int parse_frame(const uint8_t *bytes, size_t count, struct reply *reply, int is_echo) {
  if (count < 10) return 0;
  size_t length = get32(bytes);
  if (length > 4 << 20 || bytes[8] != (is_echo ? 1 : 2)) return -1;
  if (count < 10 + length) return 0;
  if (!is_echo && (length < 4 || bytes[10] != 0x0a || bytes[11] != 0)) return -1;
  *reply = (struct reply){.byte_count = 10 + length, .stream = get32(bytes + 4), .body_at = 10, .body_count = length};
  return 1;
}

static int parse_http(const uint8_t *bytes, size_t count, struct reply *reply) {
  static const char good[] = "HTTP/1.1 200", field[] = "Content-Length: ";
  size_t shown = count < sizeof good - 1 ? count : sizeof good - 1;
  if (memcmp(bytes, good, shown) != 0) return -1;
  const uint8_t *end = memmem(bytes, count, "\r\n\r\n", 4);
  if (end == NULL) return count > 8192 ? -1 : 0;
  const uint8_t *length = memmem(bytes, (size_t)(end - bytes) + 2, field, sizeof field - 1);
  if (length == NULL) return -1;
  size_t body = 0;
  for (const uint8_t *at = length + sizeof field - 1; *at >= '0' && *at <= '9' && body < 1 << 24; at++)
    body = body * 10 + (*at - '0');
  size_t head = (size_t)(end - bytes) + 4;
  if (count < head + body) return 0;
  *reply = (struct reply){.byte_count = head + body, .body_at = head, .body_count = body};
  return 1;
}

int parse_reply(enum ch_protocol protocol, const uint8_t *bytes, size_t count, struct reply *reply) {
  if (protocol == CH_HTTP) return parse_http(bytes, count, reply);
  return parse_frame(bytes, count, reply, protocol == CH_ECHO);
}

const char *readable(const uint8_t *bytes, size_t count) {
  static char text[161];
  size_t length = 0;
  for (size_t i = 0; i < count && length < sizeof text - 1; i++)
    if (bytes[i] >= 0x20 && bytes[i] < 0x7f) text[length++] = (char)bytes[i];
  text[length] = 0;
  return text;
}
