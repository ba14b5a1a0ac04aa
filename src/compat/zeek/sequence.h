// The sequence space of one end of a connection as Zeek counts it: 32-bit numbers and how often they went round.
//
// Relative numbers begin with 0 at the SYN, so that the first byte of data is 1, whether the SYN was seen or not.
#pragma once

#include <cstdint>

namespace tcpwhy::compat::zeek {

constexpr std::int32_t sequence_distance(std::uint32_t from, std::uint32_t to) {
  return static_cast<std::int32_t>(to - from);
}

class SequenceSpace {
 public:
  void begin(std::uint32_t start, std::uint32_t last) {
    start_ = start;
    ack_ = start;
    last_ = last;
  }

  [[nodiscard]] std::uint32_t start() const { return static_cast<std::uint32_t>(start_); }
  [[nodiscard]] std::uint32_t last() const { return last_; }  // one past the highest byte sent
  [[nodiscard]] std::uint32_t ack() const { return ack_; }    // the highest acknowledgement of the other end

  void advance_last(std::uint32_t to) {
    last_wraps_ += to < last_ ? 1 : 0;
    last_ = to;
  }
  void advance_ack(std::uint32_t to) {
    ack_wraps_ += to < ack_ ? 1 : 0;
    ack_ = to;
  }

  struct Relative {
    std::uint64_t value = 0;
    bool before_start = false;
  };
  [[nodiscard]] Relative relative_to_last(std::uint32_t number) const { return relative(number, last_, last_wraps_); }
  [[nodiscard]] Relative relative_to_ack(std::uint32_t number) const { return relative(number, ack_, ack_wraps_); }

  [[nodiscard]] std::uint64_t relative_ack() const { return full(ack_, ack_wraps_) - unsigned_start(); }
  [[nodiscard]] std::uint64_t full_last() const { return full(last_, last_wraps_); }
  [[nodiscard]] std::uint64_t full_ack() const { return full(ack_, ack_wraps_); }
  [[nodiscard]] std::uint64_t unsigned_start() const { return static_cast<std::uint64_t>(start_); }

  // Nothing, or only a SYN, was acknowledged.
  [[nodiscard]] bool no_data_acked() const {
    return full_ack() == unsigned_start() || full_ack() == unsigned_start() + 1;
  }

 private:
  static std::uint64_t full(std::uint32_t number, std::uint32_t wraps) {
    return (static_cast<std::uint64_t>(wraps) << 32U) + number;
  }

  // `number` was seen when `last` was the newest one after `wraps` rounds: in which round does it lie itself?
  [[nodiscard]] Relative relative(std::uint32_t number, std::uint32_t last, std::uint32_t wraps) const {
    const std::int32_t step = sequence_distance(last, number);
    if (step < 0 && wraps > 0 && number > last) --wraps;
    if (step > 0 && number < last) ++wraps;
    if (wraps > 0) return {full(number, wraps) - unsigned_start(), false};
    const std::int32_t from_start = sequence_distance(start(), number);
    return {static_cast<std::uint64_t>(static_cast<std::int64_t>(from_start)), from_start < 0};
  }

  std::int64_t start_ = 0;
  std::uint32_t last_ = 0, ack_ = 0;
  std::uint32_t last_wraps_ = 0, ack_wraps_ = 0;
};

}  // namespace tcpwhy::compat::zeek
