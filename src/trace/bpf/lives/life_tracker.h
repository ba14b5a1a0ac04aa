// The probe's records -> one SocketLife a socket, told when it ends. For the whole machine: memory in proportion to the sockets that
// live, and bounded; what is given up for it is counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
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

struct EndedLife {
  recording::SocketLife life;
  std::optional<recording::SocketLife> peer;  // the other end, where it lives on this machine and has been watched
};

struct LifeTrackerOptions {
  std::vector<std::string> reset_reasons;  // by number
  const KernelSymbols* symbols = nullptr;  // null: the kernel's stacks tell nothing
  std::size_t most_sockets = 65536;        // alive at a time; beyond, some are given up, and counted
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
  // Ended ones whose other end lives on are told after a while. To be called now and then; `all`: now.
  void tell_waiting(base::WallTime now, const OnEnded& on_ended, bool all = false);

  using RawEnds = std::array<std::byte, 36>;

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
    bool told = false;  // its end; only its destruction is awaited
    RawEnds ends{};     // those of `life`, as the probe has them: to be compared at each record
    [[nodiscard]] bool has_ends_of(const probe_socket& socket) const;
    void keep_ends_of(const probe_socket& socket);
  };
  Alive* find(const probe_socket& socket, base::WallTime at);
  void on_state(const probe_state& state, base::WallTime at, const OnOpened& on_opened, const OnEnded& on_ended);
  void on_gone(std::uint64_t pointer, base::WallTime at, const OnEnded& on_ended);
  void on_reset(const probe_reset& reset, base::WallTime at, const OnEnded& on_ended);
  void on_error(const probe_error& error, base::WallTime at);
  [[nodiscard]] std::string cause_of(const probe_reset& reset, std::string_view reason) const;
  void end(Alive& alive, base::WallTime at, const OnEnded& on_ended);
  void make_room(const OnEnded& on_ended);

  LifeTrackerOptions options_;
  std::unordered_map<std::uint64_t, Alive> alive_;                     // by the kernel's address
  std::unordered_map<Ends, std::uint64_t, HashEnds> by_ends_;          // {local, remote} -> address; 0: not seen yet
  std::unordered_map<Ends, recording::SocketLife, HashEnds> waiting_;  // ended, the other end is alive
  std::map<std::uint16_t, recording::Holder> listeners_;               // by port
  std::map<std::uint64_t, recording::SocketLife> before_;              // by cookie: there before the watch began
  std::uint64_t given_up_ = 0;
};

}  // namespace tcpwhy::trace
