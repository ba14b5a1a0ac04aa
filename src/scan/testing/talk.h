// For tests: a connection told to a table, and which problems are said of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scan/connections/connection_table.h"
#include "scan/connections/problems.h"

namespace tcpwhy::scan::testing {

using wire::TcpFlags;

inline constexpr std::uint16_t S = TcpFlags::syn_bit, A = TcpFlags::ack_bit, F = TcpFlags::fin_bit,
                               R = TcpFlags::rst_bit;
inline constexpr std::int64_t ms = 1'000'000;

// Without "capture.".
inline std::vector<std::string> ids(const ConnectionRecord& record) {
  std::vector<std::string> ids;
  for (const Problem& problem : problems_of(record)) ids.emplace_back(problem.rule->id.substr(8));
  return ids;
}

// One connection; numbers are relative, and each segment comes 10 ms after the one before.
class Talk {
 public:
  explicit Talk(bool to_itself = false)
      : client_{*wire::IpAddress::parse("10.0.0.1"), 40000},
        server_(to_itself ? client_ : wire::SocketAddress{*wire::IpAddress::parse("10.0.0.2"), 80}),
        table_({}, 1, [this](Connection& connection, Left left) { records_.push_back(record_of(connection, left)); }) {}

  Talk& c(std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0,
          std::uint16_t window = 1000) {
    return take(true, flags, seq, ack, length, {.window = window});
  }
  Talk& s(std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0,
          std::uint16_t window = 1000) {
    return take(false, flags, seq, ack, length, {.window = window});
  }
  struct Extra {
    std::uint16_t ip_id = 0;
    std::uint32_t timestamp = 0;  // 0: none
    std::uint32_t echo_reply = 0;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> sack;   // relative
    std::optional<std::uint8_t> window_scale = std::uint8_t{0};  // of a SYN
    bool sack_permitted = false;
    std::uint16_t window = 1000;
    std::uint8_t ttl = 64;
    bool cut = false;  // the capture cut the options
  };
  Talk& c(const Extra& extra, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0) {
    return take(true, flags, seq, ack, length, extra);
  }
  Talk& s(const Extra& extra, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0) {
    return take(false, flags, seq, ack, length, extra);
  }
  Talk& handshake() { return c(S, 0).s(S | A, 0, 1).c(A, 1, 1); }
  Talk& wait(std::int64_t ns) {
    at_ns_ += ns;
    return *this;
  }
  // That quotes a segment of the client.
  Talk& icmp(std::uint32_t seq) {
    wire::IcmpError error;
    error.reporter = *wire::IpAddress::parse("10.0.0.9");
    table_.take_icmp(++frame_, segment(true, A, seq, 0, 0, {}), error, {});
    return *this;
  }
  Talk& capture_ends() {
    table_.finish(at_ns_);
    return *this;
  }
  ConnectionRecord record() {
    table_.finish();
    EXPECT_EQ(records_.size(), 1U);
    return records_.front();
  }
  const std::vector<ConnectionRecord>& records() {
    table_.finish();
    return records_;
  }
  std::vector<std::string> problems() { return ids(record()); }

 private:
  wire::TcpSegment segment(bool from_client, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack,
                           std::uint32_t length, const Extra& extra) const {
    constexpr std::uint32_t client_isn = 1000, server_isn = 5000;
    wire::TcpSegment made;
    made.source = from_client ? client_ : server_;
    made.destination = from_client ? server_ : client_;
    made.flags.bits = flags;
    const bool itself = client_ == server_;
    made.seq = {(from_client || itself ? client_isn : server_isn) + seq};
    if ((flags & A) != 0) made.ack = {(from_client && !itself ? server_isn : client_isn) + ack};
    made.payload_length = length;
    made.window = extra.window;
    made.ip_id = extra.ip_id;
    made.ttl = extra.ttl;
    made.options.cut = extra.cut;
    if ((flags & S) != 0) made.options.window_scale = extra.window_scale;
    made.options.sack_permitted = extra.sack_permitted;
    if (extra.timestamp != 0) made.options.timestamps = wire::TcpTimestamps{extra.timestamp, extra.echo_reply};
    for (const auto& [left, right] : extra.sack) {
      const std::uint32_t base = from_client ? server_isn : client_isn;
      made.options.sack_storage[made.options.sack_count++] = {{base + left}, {base + right}};
    }
    return made;
  }
  Talk& take(bool from_client, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t length,
             const Extra& extra) {
    at_ns_ += 10 * ms;
    table_.take(++frame_, at_ns_, segment(from_client, flags, seq, ack, length, extra));
    return *this;
  }

  wire::SocketAddress client_, server_;
  std::vector<ConnectionRecord> records_;
  ConnectionTable table_;
  std::int64_t at_ns_ = 1'000'000 * ms;
  std::uint64_t frame_ = 0;
};

using Ids = std::vector<std::string>;

// Those with this id, without "capture.".
inline std::vector<Problem> of(Talk& talk, std::string_view id) {
  std::vector<Problem> found = problems_of(talk.record());
  std::erase_if(found, [id](const Problem& problem) { return problem.rule->id.substr(8) != id; });
  return found;
}

// What is said of the first of them; empty: nothing.
inline std::string told(Talk& talk, std::string_view id) {
  const std::vector<Problem> found = of(talk, id);
  return found.empty() ? "" : say(found.front(), talk.record(), base::Language::en);
}

}  // namespace tcpwhy::scan::testing
