// For tests: a connection told to a tracker. c sends, s sends, and what each segment is said to be. Sequence numbers are relative, each segment comes
// 10 ms after the one before.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "tcp/tracker.h"

namespace tcpwhy::tcp::testing {

inline constexpr std::uint16_t S = wire::TcpFlags::syn_bit, A = wire::TcpFlags::ack_bit, F = wire::TcpFlags::fin_bit,
                               R = wire::TcpFlags::rst_bit;
inline constexpr std::int64_t ms = 1'000'000;

class Story {
 public:
  // In the upper half of the space: every story crosses 2^32.
  explicit Story(std::uint32_t client_isn = 0xffff'fffe, std::uint32_t server_isn = 0xffff'ff00)
      : isn_{client_isn, server_isn} {}

  struct Extra {
    std::uint16_t window = 1000;
    std::uint16_t ip_id = 0;
    std::uint8_t ttl = 64;
    std::optional<wire::TcpTimestamps> timestamps;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> sack;  // relative
  };

  Verdict c(std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0) {
    return send(EndIndex::first, flags, seq, ack, length, {});
  }
  Verdict s(std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0) {
    return send(EndIndex::second, flags, seq, ack, length, {});
  }
  Verdict send(EndIndex from, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t length,
               const Extra& extra) {
    wire::TcpSegment segment;
    segment.flags.bits = flags;
    segment.seq = {isn_[from] + seq};
    if (flags & A) segment.ack = {isn_[opposite(from)] + ack};
    segment.payload_length = length;
    segment.window = extra.window;
    segment.ip_id = extra.ip_id;
    segment.ttl = extra.ttl;
    segment.options.timestamps = extra.timestamps;
    for (const auto& [left, right] : extra.sack) {
      const std::uint32_t base = isn_[opposite(from)];
      segment.options.sack_storage[segment.options.sack_count++] = {{base + left}, {base + right}};
    }
    at_ns_ += 10 * ms;
    const Observed seen{at_ns_, ++frame_, from, segment};
    anew_ = tracker.begins_anew(seen);
    return tracker.observe(seen);
  }
  void wait(std::int64_t ns) { at_ns_ += ns; }
  void handshake() { c(S, 0), s(S | A, 0, 1), c(A, 1, 1); }
  [[nodiscard]] std::pair<State, State> states() const {
    return {tracker.end(EndIndex::first).state, tracker.end(EndIndex::second).state};
  }
  [[nodiscard]] bool anew() const { return anew_; }

  Tracker tracker;

 private:
  PerEnd<std::uint32_t> isn_;
  std::int64_t at_ns_ = 1'000'000'000 * ms;
  std::uint64_t frame_ = 0;
  bool anew_ = false;
};

using States = std::pair<State, State>;

}  // namespace tcpwhy::tcp::testing
