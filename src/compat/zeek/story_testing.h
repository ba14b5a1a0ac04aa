// For tests: a connection told segment by segment, with sequence numbers as Wireshark shows them (0 is the SYN).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "compat/zeek/tracker.h"

namespace tcpwhy::compat::zeek::testing {

struct Segment {
  std::uint32_t seq = 0, ack = 0;
  std::uint32_t length = 0;
  std::uint16_t window = 512;
  std::uint32_t captured = UINT32_MAX;  // of `length`
  std::uint64_t tunnel = 0;
};

class Story {
 public:
  explicit Story(std::uint16_t server_port = 80, std::uint16_t client_port = 40000)
      : client_port_(client_port), server_port_(server_port) {}
  Story(const Story&) = delete;
  Story& operator=(const Story&) = delete;

  Story& first_numbers(std::uint32_t client, std::uint32_t server) {
    client_isn_ = client;
    server_isn_ = server;
    return *this;
  }
  Story& ipv6() {
    family_ = wire::IpFamily::v6;
    return *this;
  }
  Story& limits(Tracker::Limits limits) {
    tracker_ = std::make_unique<Tracker>(collect(), limits);
    return *this;
  }

  // `flags`: tcpdump's letters, "S", "S.", ".", "P.", "F.", "R".
  Story& client(std::string_view flags, Segment segment) { return send(true, flags, segment); }
  Story& server(std::string_view flags, Segment segment) { return send(false, flags, segment); }
  Story& from_port(std::uint16_t client_port) {
    client_port_ = client_port;
    return *this;
  }
  Story& wait(double seconds) {
    now_us_ += static_cast<std::int64_t>(seconds * 1e6);
    return *this;
  }

  Story& opens() { return client("S", {}).server("S.", {.ack = 1}).client(".", {.seq = 1, .ack = 1}); }
  // A request and its answer, 100 bytes each, after opens().
  Story& talks() {
    return client("P.", {.seq = 1, .ack = 1, .length = 100})
        .server("P.", {.seq = 1, .ack = 101, .length = 100})
        .client(".", {.seq = 101, .ack = 101});
  }

  std::vector<ConnRow> rows() {
    tracker_->finish();
    return std::move(rows_);
  }
  [[nodiscard]] const Tracker& tracker() const { return *tracker_; }

 private:
  Tracker::Write collect() {
    return [this](const ConnRow& row) { rows_.push_back(row); };
  }
  [[nodiscard]] wire::SocketAddress end(bool is_client) const {
    wire::IpAddress ip;
    ip.family = family_;
    ip.bytes[0] = family_ == wire::IpFamily::v4 ? 10 : 0xfd;
    ip.bytes[3] = is_client ? 1 : 2;
    return {ip, is_client ? client_port_ : server_port_};
  }

  Story& send(bool by_client, std::string_view flags, Segment segment) {
    static constexpr std::uint8_t zeros[65536] = {};
    Packet packet{.source = end(by_client),
                  .destination = end(!by_client),
                  .seq = segment.seq + (by_client ? client_isn_ : server_isn_),
                  .ack = segment.ack + (by_client ? server_isn_ : client_isn_),
                  .window = segment.window,
                  .length = segment.length,
                  .payload = {zeros, std::min(segment.length, segment.captured)},
                  .ip_length = 40 + segment.length,
                  .at_us = now_us_,
                  .tunnel = segment.tunnel};
    for (const char letter : flags) {
      constexpr std::string_view letters = "FSRP.U";  // in the order of their bits
      packet.flags.bits |= static_cast<std::uint16_t>(1U << letters.find(letter));
    }
    if (!packet.flags.ack()) packet.ack = 0;
    tracker_->advance(packet.at_us);
    tracker_->take(packet);
    now_us_ += 1000;
    return *this;
  }

  std::uint16_t client_port_, server_port_;
  wire::IpFamily family_ = wire::IpFamily::v4;
  std::uint32_t client_isn_ = 0xffff'f000, server_isn_ = 0x7fff'ff00;
  std::int64_t now_us_ = 1'700'000'000'000'000;
  std::vector<ConnRow> rows_;
  std::unique_ptr<Tracker> tracker_ = std::make_unique<Tracker>(collect());
};

}  // namespace tcpwhy::compat::zeek::testing
