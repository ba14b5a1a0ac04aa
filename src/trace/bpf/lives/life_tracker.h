// The probe's records -> one SocketLife a socket, told when it ends. For the whole machine: memory in proportion to the sockets that
// live, and bounded; what is given up for it is counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "recording/socket_life.h"
#include "trace/bpf/kernel/kernel_symbols.h"
#include "trace/bpf/program/protocol.h"
#include "trace/holders.h"
#include "trace/socket_sampler.h"

namespace tcpwhy::trace {

// A connection, told once: of two ends on this machine by the one who opened it.
struct EndedLife {
  recording::SocketLife life;
  // The other end, where it lives on this machine and has been watched. Not over: it lives on, long after this one.
  std::optional<recording::SocketLife> peer;
};

struct LifeTrackerOptions {
  std::vector<std::string> reset_reasons;            // by number
  const KernelSymbols* symbols = nullptr;            // null: the kernel's stacks tell nothing
  std::size_t most_sockets = 65536;                  // alive at a time; beyond, some are given up, and counted
  std::function<bool(std::int32_t)> is_in_cgroup{};  // of a process that holds a socket of begin()'s sample
  std::uint64_t netns = 0;                           // cookie of the network namespace that begin()'s sample is of
};

class LifeTracker {
 public:
  using OnEnded = std::function<void(EndedLife&&)>;
  using OnOpened = std::function<void(const recording::SocketLife&)>;
  explicit LifeTracker(LifeTrackerOptions options) : options_(std::move(options)) {}

  // What is there already, so that it is told with its holder when it ends.
  void begin(const SocketSample& sample, const recording::SocketHolders& holders);
  void add(std::span<const std::byte> record, base::Duration wall_minus_monotonic, const OnOpened& on_opened,
           const OnEnded& on_ended);
  // An end that is over waits for its peer's, so that one line tells both; but not for ever. To be called now and then; `all`: now.
  void tell_waiting(base::WallTime now, const OnEnded& on_ended, bool all = false);

  using RawEnds = std::array<std::byte, 36>;

  // Connections of which an end lives; each of its ends is one where both are on this machine.
  void for_each_alive(const OnOpened& look) const;
  [[nodiscard]] std::size_t alive() const { return alive_.size(); }
  [[nodiscard]] std::uint64_t given_up() const { return given_up_; }

 private:
  using Ends = std::pair<wire::SocketAddress, wire::SocketAddress>;
  struct HashEnds {
    std::size_t operator()(const Ends& ends) const;
  };
  struct Alive {
    recording::SocketLife life;
    std::uint64_t pointer = 0;
    bool ended = false;                       // only its destruction is awaited
    bool told = false;                        // as the other end of one that was over
    std::optional<base::WallTime> closed_at;  // it has entered CLOSED
    RawEnds ends{};                           // those of `life`, as the probe has them: to be compared at each record
    [[nodiscard]] bool has_ends_of(const probe_socket& socket) const;
    void keep_ends_of(const probe_socket& socket);
  };
  // Where the socket with some ends is to be found. Two network namespaces may have the same ends, and so may a socket and one that is
  // over.
  struct Place {
    std::uint64_t netns, pointer, cookie;  // pointer 0: there before the watch began, and not seen yet: in `before_`
  };
  struct Listener {
    std::uint64_t netns, cookie;
    wire::IpAddress ip;
    recording::Holder holder;
  };
  // Inside the call that closes it, its queue is emptied by the same thread.
  struct ClosingListener {
    std::uint32_t tid;
    std::uint64_t pointer;
    recording::Holder holder;
  };
  struct Closed {
    base::WallTime at;
    std::uint64_t pointer, cookie;
  };
  using ByEnds = std::unordered_multimap<Ends, Place, HashEnds>;
  using Waiting = std::unordered_multimap<Ends, recording::SocketLife, HashEnds>;

  Alive* find(const probe_socket& socket, base::WallTime at, const OnEnded& on_ended);
  void on_state(const probe_state& state, base::WallTime at, const OnOpened& on_opened, const OnEnded& on_ended);
  void on_listener(const probe_state& state, const recording::Holder& runs);
  void on_gone(const probe_gone& gone, base::WallTime at, const OnEnded& on_ended);
  void on_reset(const probe_reset& reset, base::WallTime at, const OnEnded& on_ended);
  void on_error(const probe_error& error, base::WallTime at, const OnEnded& on_ended);
  [[nodiscard]] recording::SocketLife* reset_one(const probe_reset& reset);
  [[nodiscard]] std::string cause_of(const probe_reset& reset, std::string_view reason) const;
  void hold(recording::SocketLife& life, const probe_state& state) const;
  [[nodiscard]] std::optional<recording::Holder> listens_for(const recording::SocketLife& life) const;

  void end(Alive& alive, base::WallTime at, const OnEnded& on_ended);
  void forget(std::uint64_t pointer);
  void forget_ends(const recording::SocketLife& life, std::uint64_t pointer);
  void tell_former(const recording::SocketLife& life, const OnEnded& on_ended);
  void tell_with_living_peer(recording::SocketLife&& life, base::WallTime now, const OnEnded& on_ended);
  // The other end, alive and untold; null: there is none, or which of several is not known.
  [[nodiscard]] const Place* living_peer(const recording::SocketLife& life) const;
  [[nodiscard]] const recording::SocketLife* untold(const Place& place) const;
  [[nodiscard]] Waiting::iterator waiting_peer(const recording::SocketLife& life);
  void make_room(const OnEnded& on_ended);

  LifeTrackerOptions options_;
  std::unordered_map<std::uint64_t, Alive> alive_;  // by the kernel's address, which dies with the socket
  ByEnds by_ends_;                                  // by {local, remote}
  Waiting waiting_;                                 // over, while the other end is alive
  std::deque<Closed> closed_;                       // in CLOSED and not destroyed, in order of time
  std::unordered_map<std::uint16_t, std::vector<Listener>> listeners_;  // by port
  std::vector<ClosingListener> closing_listeners_;
  std::map<std::uint64_t, recording::SocketLife> before_;  // by cookie: there before the watch began
  std::set<std::uint64_t> told_before_;                    // of these, those that were told as a peer
  std::uint64_t given_up_ = 0;
};

}  // namespace tcpwhy::trace
