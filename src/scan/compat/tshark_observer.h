// Follows the connections of a capture as tshark 4.0 does: numbers them, judges their segments, says how complete they are.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "scan/compat/tshark_analysis.h"
#include "scan/compat/tshark_ftp.h"
#include "scan/compat/tshark_layers.h"

namespace tcpwhy::scan::tshark {

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
  // A row for each TCP header of the frame; none for a frame without. Valid until the next call.
  const std::vector<Row>& observe(const Frame& frame);

  // Connections that were given up to stay within the bound. A later segment of one begins a new stream.
  [[nodiscard]] std::uint64_t forgotten() const { return forgotten_; }

  // About 450 bytes each, and 32 for each segment that waits for its acknowledgment (Flow::most_unacknowledged at most).
  static constexpr std::size_t most_connections = std::size_t{1} << 18U;

 private:
  struct Key {
    wire::SocketAddress higher, lower;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
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
    Key key;
    Connection connection;
  };
  // One TCP header on its way through the rules.
  struct Passage;

  std::optional<Row> pass(const Frame& frame, const TcpHeader& header);
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
  void forget_oldest();

  LayerFinder layers_;
  std::vector<Row> rows_;
  std::list<Entry> by_use_;  // that used longest ago first
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> entries_;
  AnnouncedConnections announced_;
  std::uint32_t streams_ = 0;
  std::uint64_t forgotten_ = 0;
};

}  // namespace tcpwhy::scan::tshark
