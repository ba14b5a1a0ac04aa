// The connections of a capture while they live: each segment goes to the tracker of its connection. Memory is bounded:
// by the number of connections that are open, and of those that are over but may still see a stray.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/huge_page_allocator.h"
#include "scan/connections/flow_key.h"
#include "scan/packets/frame_reader.h"
#include "tcp/tracker.h"

namespace tcpwhy::scan {

// What ended a connection's stay in the table.
enum class Left : std::uint8_t {
  over,         // both closed, or reset; or its port was used again
  capture_end,  // the capture ended before it did
  evicted,      // more were open than TableLimits allows; it had been quiet the longest
};

// The first frame of each kind that a finding may rest on; 0: there was none. And how many, where no counter of an end says it.
// wait: of a timeout of what had not arrived; of one that is assumed where no other is known.
struct Evidence {
  std::uint64_t retransmission = 0, timeout = 0, wait = 0, resent_syn = 0, repeated_syn_ack = 0, fin_again = 0,
                zero_window = 0, illegal = 0, gap = 0, needless = 0, offload = 0, behind_ack = 0, icmp_disbelieved = 0,
                old_connection = 0, another_syn_ack = 0;
  std::uint32_t sure_waits = 0;         // timeouts of what had not arrived, of which nothing else is as likely
  std::uint32_t needless_timeouts = 0;  // of what had
  std::uint32_t repeated_syn_acks = 0;  // how many
  bool old_was_reset = false;           // the old connection, by who opened this one
};

// The first ICMP error that quoted a segment of it; frame 0: none.
struct IcmpSeen {
  std::uint64_t frame = 0;
  wire::IcmpError error;
};

struct Connection {
  tcp::PerEnd<wire::SocketAddress> ends;
  tcp::Tracker tracker;
  Evidence evidence;
  IcmpSeen icmp;
  std::uint64_t last_frame = 0;
  std::int64_t quiet_ns = INT64_MAX;  // for how long the capture went on behind its last segment; at least
  std::uint32_t reuse = 0;            // how many connections between the same addresses came before it
};

struct TableLimits {
  std::size_t open = 400'000;             // about 1,100 bytes each
  std::size_t over = 20'000;              // that are over, kept for strays
  std::int64_t over_ns = 60'000'000'000;  // and for how long (Linux's TIME-WAIT: TCP_TIMEWAIT_LEN)
};

// What a segment was to its connection.
struct TakenSegment {
  Connection* connection = nullptr;  // valid until the next segment
  tcp::EndIndex from = tcp::EndIndex::first;
  tcp::Verdict verdict;
};

class ConnectionTable {
 public:
  using OnEnd = std::function<void(Connection&, Left)>;

  ConnectionTable(TableLimits limits, std::uint64_t seed, OnEnd on_end)
      : limits_(limits), seed_(seed), connections_(0, Hash{seed}), on_end_(std::move(on_end)) {}

  TakenSegment take(std::uint64_t frame, std::int64_t at_ns, const wire::TcpSegment& segment,
                    wire::Encapsulation around = {});
  // An ICMP error that quotes `segment`; without a connection that it fits it is passed over.
  void take_icmp(std::uint64_t frame, const wire::TcpSegment& segment, const wire::IcmpError& error,
                 wire::Encapsulation around);
  // Hands out all that is left. What a connection waited for at the end of the capture has not come only if that went on long enough.
  void finish(std::optional<std::int64_t> capture_ended_ns = {});
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }
  [[nodiscard]] std::size_t size() const { return connections_.size(); }

 private:
  using Slot = std::uint32_t;
  static constexpr Slot none = UINT32_MAX;
  struct Hash {
    using is_avalanching = void;
    std::uint64_t seed;
    std::size_t operator()(const FlowKey& key) const { return hash_of(key, seed); }
  };
  struct Entry {
    Connection connection;
    FlowKey key;
    bool is_over = false;
    bool is_first_low = false;  // whether end 0 is the key's lower one
    bool is_joined = false;     // it has another key
  };
  // Where the two directions are wrapped differently (wire/encapsulation.h): the key of the one that was seen later.
  struct OtherKey {
    FlowKey key;
    bool is_from_low = false;           // whether the key's lower end sends with it
    std::uint32_t segments_before = 0;  // of the connection, when it got this key
  };
  // Connections between the same addresses and ports that have something around them: the latest, the newest first. More at a
  // time, of so many tenants, are not held against each other.
  using Wrapped = std::array<Slot, 4>;
  // Of keys that are hashes already.
  struct Itself {
    using is_avalanching = void;
    std::size_t operator()(std::uint64_t hash) const { return hash; }
  };
  // In the list it is in. Apart from the entries: with each segment those of two others change, whose entries nobody needs then.
  struct Links {
    Slot older = none, newer = none;
  };
  // By the time of the last segment.
  struct List {
    Slot oldest = none, newest = none;
    std::size_t size = 0;
  };

  [[nodiscard]] Entry& entry(Slot slot) { return pieces_[slot / entries_a_piece][slot % entries_a_piece]; }
  [[nodiscard]] const Entry& entry(Slot slot) const { return pieces_[slot / entries_a_piece][slot % entries_a_piece]; }
  void add_piece();
  Slot new_entry(const FlowKey& key);
  // f(Slot) for those between the same addresses and ports, with something else around them or nothing.
  template <class F>
  void for_each_elsewhere(const FlowKey& key, F&& f) const;
  // The connection of which this segment is the other direction, which was not seen until now since there is something else around
  // it; `none`: there is no such one.
  [[nodiscard]] Slot other_half(const wire::TcpSegment& segment, const FlowKey& key) const;
  // The connection of which an ICMP error quotes a segment that was seen with something else around it.
  [[nodiscard]] Slot quoted_half(const wire::TcpSegment& segment, const FlowKey& key) const;
  // The connection whose SYN, seen with something else around it, this SYN-ACK answers, if `slot` has but other segments of that end: of a
  // connection before, or in answer to something else. That one is over. Else `slot`.
  Slot answered_elsewhere(Slot slot, const wire::TcpSegment& segment, const FlowKey& key, bool is_from_low);
  void join(Slot slot, const FlowKey& key, bool is_from_low);
  // Of one that is joined: itself, or `none` if that turns out to have been wrong and the segment is another connection's.
  Slot part_if_both_ways(Slot slot, const FlowKey& key, bool is_from_low);
  void note_wrapped(Slot slot, const FlowKey& key);
  [[nodiscard]] Slot find(const FlowKey& key);  // or none
  void forget_keys(Slot slot);
  // Of a connection that nothing is known of.
  static void start(Entry& entry, const wire::TcpSegment& segment);
  static void start_again(Entry& entry, const wire::TcpSegment& segment);
  void link(List& list, Slot slot);
  void unlink(List& list, Slot slot);
  void leave(Slot slot, Left why);
  void hand_out(Slot slot, Left why);  // which leaves its keys behind
  void prefetch(Slot slot) const;
  void forget_over(std::int64_t now_ns);
  void make_room();

  TableLimits limits_;
  std::uint64_t seed_;
  // What was found last: packets of one connection come in a row more often than not.
  FlowKey latest_key_;
  Slot latest_ = none;
  boost::unordered_flat_map<FlowKey, Slot, Hash, std::equal_to<FlowKey>,
                            base::HugePageAllocator<std::pair<const FlowKey, Slot>>>
      connections_;
  boost::unordered_flat_map<Slot, OtherKey> other_keys_;
  // Connections that have something around them, by the hashes of their keys without it; and how many have nothing.
  boost::unordered_flat_map<std::uint64_t, Wrapped, Itself> wrapped_;
  std::size_t naked_ = 0;
  // Grow without moving; in pieces of their own while they are few, then in blocks of many pieces.
  using Block = std::vector<Entry, base::HugePageAllocator<Entry>>;
  static constexpr std::size_t entries_a_piece = 64, few_pieces = 16,
                               pieces_a_block =
                                   2 * Block::allocator_type::huge_page / (entries_a_piece * sizeof(Entry));
  std::vector<Block> blocks_;
  std::vector<Entry*> pieces_;
  std::vector<Links> links_;  // one for each slot there has been
  std::vector<Slot> free_;
  List open_, over_;
  OnEnd on_end_;
  std::uint64_t evicted_ = 0;
};

}  // namespace tcpwhy::scan
