// What the tracing thread has learnt and nobody has taken yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.h"
#include "recording/recording.h"
#include "trace/ptrace/inside/call_log.h"
#include "trace/record_log.h"
#include "trace/repeated_calls.h"
#include "trace/tracer.h"

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
  // Nothing more is taken; what comes is counted. It ends so by itself when there is no memory for more.
  void pause();
  void run_out_of_memory();
  [[nodiscard]] bool paused() const;
  [[nodiscard]] std::uint64_t recorded() const;
  [[nodiscard]] std::uint64_t left_out() const;
  void take_conversations(std::vector<Conversation>& told);
  void wake();  // something else than an event has changed

  // By whoever records. The same recording each time.
  [[nodiscard]] int fd() const { return ready_.get(); }
  // `at_end`: with what was put aside.
  void drain(recording::Recording& recording, bool at_end);

 private:
  void be_ready_in(long ns);
  void end_for_want_of_memory(std::uint64_t events);
  void append(std::span<const std::byte> whole);
  void end_repeated();
  [[nodiscard]] bool ends_repeated(const recording::Event& event);

  std::size_t most_pending_;
  base::UniqueFd ready_;  // timerfd: readable soon after something waits
  mutable std::mutex mutex_;
  std::vector<recording::Actor> actors_;  // those that the recording hasn't got yet
  std::vector<recording::Event> events_;
  std::uint32_t actor_count_ = 0;
  std::uint64_t lost_ = 0, left_out_ = 0, no_memory_for_ = 0, recorded_ = 0;
  bool paused_ = false;
  // Let go where memory is lacking, for what must go on.
  static constexpr std::size_t spare_bytes = std::size_t{8} << 20;
  std::unique_ptr<std::byte[]> spare_ = std::make_unique_for_overwrite<std::byte[]>(spare_bytes);
  std::vector<Conversation> conversations_;
  std::uint64_t last_cookie_ = 0;  // of the conversation that was learnt last
  RecordLog aside_;
  std::size_t count_aside_ = 0;
  std::vector<std::byte> whole_;  // a call and its snippets
  RepeatedCalls repeated_;
  std::unordered_map<std::uint32_t, calls::Effect>
      entered_;                                   // calls told by a stop that may turn out to change nothing
  std::vector<recording::ActorId> in_recording_;  // by own number
};

}  // namespace tcpwhy::trace
