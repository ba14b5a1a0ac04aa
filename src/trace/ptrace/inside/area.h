// The memory that recorders and tracer share: where records of calls are left, who is in which call, which
// descriptors matter.
//
// The traced programs can write there: whatever stands in it is checked before it is used, and copied before it is
// checked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include <sys/types.h>

#include "base/unique_fd.h"
#include "trace/ptrace/inside/protocol.h"

namespace tcpwhy::trace {

class InsideArea {
 public:
  // Null: not to be had here (memfd_create(2), mmap(2), kcmp(2)).
  static std::unique_ptr<InsideArea> open();
  InsideArea(const InsideArea&) = delete;
  InsideArea& operator=(const InsideArea&) = delete;
  ~InsideArea();

  [[nodiscard]] int fd() const { return memory_.get(); }
  // From now on calls are made, but not recorded.
  void stop_observing();

  // Calls f(record, snippets) for each record that is complete, in the order in which they were begun, and gives back
  // their room. Each is one that a recorder can have left: of a call that it records, with its descriptor among its
  // arguments, and times of this age. That it is true is not said.
  using Taker = std::function<void(const inside_record&, std::span<const std::byte>)>;
  // One whose thread is in the middle of it holds up those behind it; `nobody_lives`: not any more.
  void take(const Taker& f, bool nobody_lives = false);
  // Nothing is there that has not been taken.
  [[nodiscard]] bool is_empty() const;
  // Positions: what has been begun, and what has been taken.
  [[nodiscard]] std::uint64_t head() const;
  [[nodiscard]] std::uint64_t tail() const { return tail_; }
  // Calls that were not kept since it was asked last: there was no room, or what stood there was no record.
  std::uint64_t take_lost();

  // What a process's descriptors are; absent: all tables are in use.
  std::optional<std::uint32_t> take_table();
  // Whoever uses it makes all calls where they stop.
  void disable(std::uint32_t table);
  void give_back_table(std::uint32_t table);
  [[nodiscard]] bool has_tcp(std::uint32_t table) const;
  void set_has_tcp(std::uint32_t table, bool has);
  // SO_COOKIE, INSIDE_OTHER or INSIDE_UNKNOWN.
  [[nodiscard]] std::uint64_t socket_of(std::uint32_t table, std::int32_t fd) const;
  void forget(std::uint32_t table, std::int32_t fd);
  // Unless the process itself has learnt something meanwhile: it knows better.
  void learn(std::uint32_t table, std::int32_t fd, std::uint64_t socket);

  // The call that the thread is in, if it is being recorded.
  [[nodiscard]] std::optional<inside_slot> call_of(pid_t tid) const;
  // It is in none any more, and won't say so.
  void end_call(pid_t tid);
  // It has ended, or executes another program.
  void release_slot(pid_t tid);

 private:
  InsideArea() = default;
  void give_up();
  bool take_record(std::span<const std::byte> theirs, const Taker& f);
  bool skip_what_is_stuck(std::uint64_t head, bool at_once);
  void advance(std::uint64_t length);

  base::UniqueFd memory_;
  inside_shared* shared_ = nullptr;
  std::uint64_t tail_ = 0;  // ours counts; the shared one is for them to read
  std::array<bool, INSIDE_TABLES> in_use_{};
  std::uint64_t stuck_at_ = 0, stuck_since_ = 0;  // position; CLOCK_REALTIME, 0: it isn't
  std::uint64_t lost_ = 0;
  bool is_broken_ = false;
};

// What the recorder is to do at each call, from calls/call_table.
using InsideRows = std::array<inside_row, INSIDE_CALLS>;
const InsideRows& inside_rows();

}  // namespace tcpwhy::trace
