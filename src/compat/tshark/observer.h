// Follows the connections of a capture as tshark 4.0 does: numbers them, judges their segments, says how complete they are.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "compat/tshark/analysis.h"
#include "compat/tshark/ftp.h"
#include "compat/tshark/layers.h"
#include "scan/connections/flow_key.h"

namespace tcpwhy::compat::tshark {

// What tshark prints of one TCP header of a frame.
struct Row {
  // Nothing where the header was cut before its window.
  std::optional<std::uint32_t> stream;
  std::uint8_t completeness = 0;  // of the connection before this segment
  Findings findings;              // none where the header was cut
  std::int64_t initial_rtt_ns = 0;
  bool fast_open_syn = false, fast_open_ack = false, fast_open_ignored = false;
};

class Observer {
 public:
  struct Limits {
    std::size_t connections = std::size_t{1} << 18U;  // about 450 bytes each
    // Room for segments that wait for their acknowledgment, 32 bytes each, of all connections together; of one
    // Flow::most_unacknowledged at most a direction.
    std::size_t waiting = std::size_t{1} << 22U;
    std::uint64_t seed = 0;  // of the hash: whoever makes a capture should not know it
  };
  explicit Observer(Limits limits);
  Observer() : Observer(Limits()) {}

  // A row for each TCP header of the frame; none for a frame without. Valid until the next call.
  const std::vector<Row>& observe(const scan::Frame& frame);

  // Connections that were given up to stay within the limits: those used longest ago. A later segment of one begins a new stream.
  [[nodiscard]] std::uint64_t forgotten() const { return forgotten_; }

 private:
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const scan::FlowKey& key) const { return scan::hash_of(key, seed); }
  };
  struct Connection {
    std::uint32_t stream = 0;
    std::uint8_t completeness = 0;
    bool fast_open_data = false;
    std::optional<std::uint8_t> multipath_operations;
    std::int64_t last_syn_ns = 0, initial_rtt_ns = 0;  // 0: not seen
    std::array<Flow, 2> flows;                         // that of the higher end first
  };
  struct Entry {
    scan::FlowKey key;
    Connection connection;
    std::size_t waiting = 0;  // room that its flows have for segments
  };
  // One TCP header on its way through the rules.
  struct Passage;

  std::optional<Row> pass(const scan::Frame& frame, const TcpHeader& header);
  void find_connection(Passage& passage);
  void begin_connection(Passage& passage, Entry& entry);
  void notice_reused_ports(Passage& passage, Entry& entry);
  static void judge(Passage& passage);
  static void advance_completeness(Passage& passage);
  static void judge_fast_open(Passage& passage);
  static void note_handshake(Passage& passage);
  static bool take_options(Passage& passage);
  static void settle_window_scale(Passage& passage);
  // What the payload tells of other connections.
  void look_into_payload(const Passage& passage);
  void count_waiting(Entry& entry);
  void forget_oldest();

  Limits limits_;
  LayerFinder layers_;
  std::vector<Row> rows_;
  std::list<Entry> by_use_;  // that used longest ago first
  std::unordered_map<scan::FlowKey, std::list<Entry>::iterator, Hash> entries_;
  std::size_t waiting_ = 0;  // of all entries
  AnnouncedConnections announced_;
  std::uint32_t streams_ = 0;
  std::uint64_t forgotten_ = 0;
};

}  // namespace tcpwhy::compat::tshark
