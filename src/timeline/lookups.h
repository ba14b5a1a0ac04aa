// What the steps of timeline::build() and the rules look for again and again in a whole recording, sorted once: so that what one
// connection costs does not grow with the others. Sorted vectors, no hashing: the numbers come from files that may be hostile.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "calls/call.h"
#include "recording/recording.h"

namespace tcpwhy::timeline {

struct Call;
struct Connection;
struct Segment;

// Values by key; of one key in the order in which they were added.
template <class Key, class Value>
class SortedIndex {
 public:
  void add(Key key, Value value) { pairs_.push_back({key, value}); }
  // Before the first question.
  void sort() { std::ranges::stable_sort(pairs_, {}, &Pair::key); }

  struct Pair {
    Key key;
    Value value;
  };
  [[nodiscard]] std::span<const Pair> of(const Key& key) const {
    const auto found = std::ranges::equal_range(pairs_, key, {}, &Pair::key);
    return {found.begin(), found.end()};
  }
  // Of keys from `first` to `last`, both included.
  [[nodiscard]] std::span<const Pair> between(const Key& first, const Key& last) const {
    const auto begin = std::ranges::lower_bound(pairs_, first, {}, &Pair::key);
    return {begin, std::ranges::upper_bound(begin, pairs_.end(), last, {}, &Pair::key)};
  }

 private:
  std::vector<Pair> pairs_;
};

class Lookups {
 public:
  using EventId = recording::EventId;
  using ActorId = recording::ActorId;
  using CallIndex = std::uint32_t;
  using SegmentIndex = std::uint32_t;
  using ConnectionIndex = std::uint32_t;
  template <class Key>
  using Events = SortedIndex<Key, EventId>;
  template <class Key>
  using Calls = SortedIndex<Key, CallIndex>;
  struct Counter {
    std::string_view name, host;
    auto operator<=>(const Counter&) const = default;
  };
  struct Descriptor {
    std::int32_t pid, fd;
    std::uint64_t socket;  // that it stood for; 0: not known
    auto operator<=>(const Descriptor&) const = default;
  };

  Lookups() = default;
  explicit Lookups(const recording::Recording& recording);
  void add_calls(const recording::Recording& recording, std::span<const Call> calls);
  void add_segments(std::span<const Segment> segments);

  // Actors that are threads of one process have the same.
  [[nodiscard]] std::uint64_t process_of(ActorId actor) const;
  // The first event of a second thread of that process: from then on it has several, as far as is known. Nothing: one is known.
  [[nodiscard]] std::optional<EventId> several_threads_since(std::uint64_t process) const;

  // --- Events, in order of time
  Events<std::uint64_t> ends_of_process;           // ProcessEnded, by process_of()
  Events<std::int32_t> ends_of_pid, forks_of_pid;  // ProcessEnded; ProcessStarted, by the pid of the parent
  Events<std::uint64_t>
      programs_of_process;  // ProcessStarted without a parent (by execve(), the first of a trace), by process_of()
  // ProcessStarted by a fork, by the process_of() that it made.
  struct Birth {
    EventId event;
    std::optional<std::uint64_t> parent;  // by process_of(); nothing: none of the actors
  };
  SortedIndex<std::uint64_t, Birth> births_of_process;
  // The latest that is told at `at` or before.
  [[nodiscard]] std::optional<Birth> birth_of(std::uint64_t process, base::WallTime at,
                                              const recording::Recording& recording) const;
  Events<std::uint32_t> ends_in_call, signals_in_call;
  Events<ActorId> sigpipes_of_actor;  // Signal, of whatever fate
  Events<std::uint64_t> sigpipes_raised,
      sigpipes_deadly;                      // by process_of(): told when it was raised; delivered, and no handler ran
  Events<std::uint16_t> listening_on_port;  // SocketState, from or to LISTEN, by local port
  Events<Counter> counters;                 // CounterMoved, upwards
  // The first move of that counter upwards that is told at `at` or later covers this moment, or none does.
  [[nodiscard]] std::optional<EventId> counter_covering(const Counter& counter, base::WallTime at,
                                                        const recording::Recording& recording) const;

  // --- Calls, in order of their entry
  Calls<calls::Effect> calls_of_effect;
  // The first listen() on that port whose socket goes on listening at that moment, as far as calls and ends of processes tell.
  [[nodiscard]] std::optional<CallIndex> listening_at(std::uint16_t port, EventId when,
                                                      std::span<const Call> calls) const;
  // By port, one at most: the first close() of a socket that listened there until then, none having begun to since.
  Calls<std::uint16_t> listener_closed_on_port;
  Calls<std::uint64_t> closes_of_socket;
  // What makes another reference to a socket: dup() and its like, sendmsg() and recvmsg() of descriptors; by the socket that one of
  // its two events names, and those of the first kind by descriptor too.
  Calls<std::uint64_t> sharings_of_socket;
  Calls<Descriptor> duplications_of;
  Calls<std::pair<std::int32_t, std::int32_t>>
      replacements_of;                               // dup2() and its like that succeeded, by pid and new number
  Calls<std::int32_t> forks_called_by, unshares_of;  // that succeeded, by pid
  Calls<ActorId> calls_of_actor;
  // That thread entered a call between the two events.
  [[nodiscard]] bool any_call_between(ActorId actor, EventId after, EventId before, std::span<const Call> calls) const;
  // What was set for SIGPIPE: its handler, the mask where it matters to it; by actor.
  Calls<ActorId> sigpipe_actions, sigpipe_masks;
  Calls<std::uint64_t> defers_accept;  // successful setsockopt(TCP_DEFER_ACCEPT), by socket

  // --- Connections
  // Between these two endpoints, in order of their beginning; v4-mapped counts as IPv4.
  void add_connections(std::span<const Connection> connections);
  [[nodiscard]] std::span<const SortedIndex<std::pair<wire::SocketAddress, wire::SocketAddress>, ConnectionIndex>::Pair>
  connections_between(const wire::SocketAddress& one, const wire::SocketAddress& other) const;

  // --- By event
  // The segment that arrived in it; that departed or arrived in it; the call that it is the entry or the return of.
  [[nodiscard]] std::optional<SegmentIndex> arrived_in(EventId event) const;
  [[nodiscard]] std::optional<SegmentIndex> segment_in(EventId event) const;
  [[nodiscard]] std::optional<CallIndex> call_in(EventId event) const;

 private:
  void add_call(const recording::Recording& recording, CallIndex index, const Call& call);
  void add_listenings(const recording::Recording& recording, std::span<const Call> calls);
  [[nodiscard]] EventId end_of_listening(const recording::Recording& recording, std::span<const Call> calls,
                                         const Call& listen) const;
  // A listen() that succeeded.
  struct Listening {
    CallIndex call;
    EventId
        latest_closed;  // of the sockets of its port so far, this one among them, the latest that was closed; not valid: one never was
  };
  SortedIndex<std::uint16_t, Listening> listenings_on_port_;
  struct Threads {
    std::optional<std::int32_t> first;     // its number
    std::optional<EventId> several_since;  // the first event of another
  };
  std::vector<std::uint64_t> process_of_actor_;
  std::vector<Threads> threads_;  // by process_of()
  // What an event is of; its index in the upper bits.
  enum class Of : std::uint8_t { nothing, departed, arrived, call };
  void note(EventId event, Of of, std::uint32_t index);
  [[nodiscard]] Of of(EventId event) const;
  std::vector<std::uint32_t> by_event_;
  SortedIndex<std::pair<wire::SocketAddress, wire::SocketAddress>, ConnectionIndex>
      connections_;  // the lower one first
};

}  // namespace tcpwhy::timeline
