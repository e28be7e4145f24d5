#pragma once
#include <stddef.h>
#include <stdint.h>

#include "CBench.h"

struct reply {
  size_t byte_count;
  uint32_t stream;
  size_t body_at, body_count;
};

static inline void put32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/// Finds the first reply: 1 where it is whole, 0 where more must come, -1 where it is not a good one.
int parse_reply(enum ch_protocol protocol, const uint8_t *bytes, size_t count, struct reply *reply);

/// The printable bytes of a reply, for a message.
const char *readable(const uint8_t *bytes, size_t count);
