// What the tracing thread has learnt and nobody has taken yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "recording/recording.h"
#include "trace/ptrace/inside/call_log.h"
#include "trace/record_log.h"

namespace tcpwhy::trace {

class Outbox {
 public:
  explicit Outbox(std::size_t most_pending);

  // By the tracing thread. An actor's number here is its own; drain() turns it into the recording's.
  recording::ActorId add_actor(recording::Actor actor);
  void add(recording::Event event);
  // Put aside: its events are made at the end, for the processor that would make them now is the traced program's too.
  void put_aside(const InsideCall& call, std::span<const std::byte> snippets);
  void lose(std::uint64_t events);
  void wake();  // something else than an event has changed

  // By whoever records. The same recording each time.
  [[nodiscard]] int fd() const { return ready_.get(); }
  // `at_end`: with what was put aside.
  void drain(recording::Recording& recording, bool at_end);

 private:
  void be_ready_in(long ns);

  std::size_t most_pending_;
  base::UniqueFd ready_;  // timerfd: readable soon after something waits
  std::mutex mutex_;
  std::vector<recording::Actor> actors_;  // those that the recording hasn't got yet
  std::vector<recording::Event> events_;
  std::uint32_t actor_count_ = 0;
  std::uint64_t lost_ = 0;
  RecordLog aside_;
  std::size_t count_aside_ = 0;
  std::vector<std::byte> whole_;  // a call and its snippets
  std::vector<recording::ActorId> in_recording_;  // by own number
};

}  // namespace tcpwhy::trace
