// The probe's ring buffers, one a processor, read as one: their records in the order of their times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace tcpwhy::trace {

// One BPF_MAP_TYPE_RINGBUF as its only reader sees it: positions that only grow, and data of which a second mapping follows the
// first, so that no record is cut (kernel/bpf/ringbuf.c, Documentation/bpf/ringbuf.rst). Its memory is the caller's.
class EventRing {
 public:
  // `data`: one mapping, a power of two of bytes; as many more must follow it.
  EventRing(std::uint64_t* consumer, const std::uint64_t* producer, std::span<const std::byte> data);

  // What the programs have written until now is what next() goes through.
  void look();
  // The record that comes next, of 8 bytes at least, aligned to 8; valid until pop(). Empty: none, or is_unfinished().
  [[nodiscard]] std::span<const std::byte> next() const { return next_; }
  // Its time: its first 8 bytes (probe_head.at_ns).
  [[nodiscard]] std::uint64_t at_ns() const { return at_ns_; }
  // A program is about to write the one that comes next.
  [[nodiscard]] bool is_unfinished() const { return unfinished_; }
  void pop();
  // The room of what has been popped is the programs' again.
  void give_back();
  [[nodiscard]] double fullness() const;  // now; 0 to 1; any thread may ask

 private:
  void find_next();

  std::uint64_t* consumer_;
  const std::uint64_t* producer_;
  std::span<const std::byte> data_;
  std::uint64_t position_, given_back_, limit_;
  std::span<const std::byte> next_;
  std::uint64_t at_ns_ = 0;
  std::uint64_t after_next_ = 0;
  bool unfinished_ = false;
};

class EventRings {
 public:
  static constexpr std::uint64_t no_end = std::numeric_limits<std::uint64_t>::max();
  using OnRecord = std::function<void(std::span<const std::byte>)>;

  // `maps`: BPF_MAP_TYPE_RINGBUF, each of `bytes` of data.
  static base::Result<EventRings> open(std::vector<base::UniqueFd> maps, std::size_t bytes);

  // Readable when a program has woken the reader.
  [[nodiscard]] int fd() const { return wake_ups_.get(); }
  // Calls `on_record` with each record that waits and is not of later than `until` (CLOCK_MONOTONIC, ns), the earliest first. What a
  // program that was interrupted has not written yet, and what comes after it, is left for the next time. Returns how many.
  std::size_t consume(std::uint64_t until, const OnRecord& on_record);
  // Of the ring that is the fullest; 0 to 1. Any thread may ask.
  [[nodiscard]] double fullness() const;

 private:
  class Mapping {
   public:
    Mapping(void* at, std::size_t bytes) : at_(at), bytes_(bytes) {}
    Mapping(Mapping&& other) noexcept : at_(std::exchange(other.at_, nullptr)), bytes_(other.bytes_) {}
    Mapping& operator=(Mapping&&) = delete;
    ~Mapping();

   private:
    void* at_;
    std::size_t bytes_;
  };

  base::Status add(int map, std::size_t bytes);

  std::vector<base::UniqueFd> maps_;
  std::vector<Mapping> mappings_;
  std::vector<EventRing> rings_;
  base::UniqueFd wake_ups_;
};

// As EventRings::consume(), for who has rings of his own.
std::size_t consume_in_order(std::span<EventRing> rings, std::uint64_t until, const EventRings::OnRecord& on_record);

}  // namespace tcpwhy::trace
