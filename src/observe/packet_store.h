// What the taps and the samples see of the whole machine, until it is known what of it is the traced program's. Which connections
// are its own is learnt a little later than their first packets are seen, so what is undecided waits, packed. When more waits than
// there is room for, the oldest is decided: what is no connection's that is known by then goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "observe/traced_connections.h"
#include "recording/recording.h"

namespace tcpwhy::observe {

class PacketStore {
 public:
  explicit PacketStore(std::size_t undecided_bytes = std::size_t{32} << 20) : most_undecided_(undecided_bytes) {}

  // Of a Packet or a SocketState. False: there is no memory for it, and it is counted.
  bool add(const recording::Event& event);
  // More is undecided than there is room for.
  [[nodiscard]] bool is_full() const { return undecided_.bytes + states_bytes() > most_undecided_; }
  // Decides of the older half.
  void decide(TracedConnections& traced, std::span<const recording::Interface> interfaces);
  // Nothing more is taken; what comes is counted as left out.
  void pause() { paused_ = true; }

  // That the packets take.
  [[nodiscard]] std::size_t bytes() const { return undecided_.bytes + kept_.bytes; }
  // How many were decided to be the program's.
  [[nodiscard]] std::size_t kept() const { return kept_.count + kept_states_.size(); }
  // Everything that is there goes to `take` in order of its coming, and is forgotten.
  void release(const std::function<void(recording::Event&&)>& take);
  // What is lacking of the program's own: packets of connections that turned out to be its own when they had gone, and what there
  // was no memory for or came when it was paused.
  [[nodiscard]] std::vector<recording::Event> losses(const TracedConnections& traced) const;

 private:
  struct Head {
    std::int64_t at_ns;
    std::uint32_t interface, original_length, captured, padded;
  };
  // Packed packets, in pieces that are given back one by one.
  struct Pile {
    struct Piece {
      std::unique_ptr<std::byte[]> bytes;
      std::size_t size = 0;
    };
    std::vector<Piece> pieces;
    std::size_t bytes = 0, count = 0;
    void append(const Head& head, const std::uint8_t* packet);
  };
  static constexpr std::size_t piece_bytes = std::size_t{1} << 20;

  template <class F>
  static void for_each(const Pile::Piece& piece, F&& f);
  static void expand(const Pile& pile, const std::function<void(recording::Event&&)>& take);
  [[nodiscard]] std::size_t states_bytes() const { return states_.size() * sizeof(recording::Event); }
  void let_go(const Flow& flow);

  std::size_t most_undecided_;
  Pile undecided_, kept_;
  std::vector<recording::Event> states_, kept_states_;
  // How many packets of which connections have gone.
  static constexpr std::size_t most_flows = 262'144;
  std::unordered_map<Flow, std::uint32_t, HashFlow> gone_;
  std::uint64_t left_out_ = 0, no_memory_for_ = 0;
  bool paused_ = false;
};

}  // namespace tcpwhy::observe
