// For tests: a recording written down by hand. One connection, client 127.0.0.1:40000 (descriptor 3, cookie 11) to server
// 127.0.0.1:9999 (descriptor 4, cookie 22; the listener's is 3, cookie 20), on one tap on loopback. Times are microseconds; sequence
// numbers are relative and start in the upper half of the space, so that they wrap on the way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "recording/fields.h"
#include "recording/recording.h"

namespace tcpwhy::recording::testing {

inline constexpr std::uint32_t client_isn = 0xffff'ff00, server_isn = 0xffff'fffe;

struct CallResult {
  std::int64_t value = 0;
  std::int32_t error = 0;
};

class StoryRecorder {
 public:
  StoryRecorder() {
    recording_.provenance.observed = {Observation::packets, Observation::calls, Observation::states_sampled,
                                      Observation::counters};
    recording_.provenance.wire = WireKind::loopback;
    recording_.interfaces.push_back({wire::LinkType::ethernet, 0, "lo", "", "", 9});
    recording_.actors = {{"server", 101, 101, "server", ""}, {"client", 102, 102, "client", ""}};
  }

  static wire::SocketAddress client() { return address(40000); }
  static wire::SocketAddress server() { return address(9999); }

  // A call from `enter` to `leave`; `leave` < 0: it never came back. Returns its number.
  std::uint32_t call(std::string_view who, std::int64_t enter, std::int64_t leave, std::string name,
                     std::string arguments, CallResult result = {}, std::int32_t fd = -1) {
    const bool is_client = who == "client";
    const std::uint32_t number = next_call_++;
    CallEntered entered;
    entered.call = number;
    entered.name = name;
    entered.arguments = std::move(arguments);
    entered.fd = fd >= 0 ? fd : is_client ? 3 : 4;
    const bool on_listener = name == "listen" || name == "accept" || name == "bind";
    if (on_listener) entered.fd = 3;
    if (result.error != 9) {  // EBADF: no socket behind the number
      entered.socket = is_client ? 11 : on_listener ? 20 : 22;
      if (name != "connect") entered.local = on_listener ? address_of_listener() : is_client ? client() : server();
      if (!on_listener) entered.remote = is_client ? server() : client();
    }
    push(enter, is_client, entered);
    if (leave >= 0) {
      CallReturned returned;
      returned.call = number;
      returned.result = result.value;
      returned.error = result.error;
      returned.socket = name == "accept" ? 22 : entered.socket;
      if (name == "accept") {
        returned.new_fd = 4;
        returned.local = server(), returned.remote = client();
      } else if (name == "connect" && result.value == 0) {
        returned.local = client(), returned.remote = server();
      }
      push(leave, is_client, returned);
    }
    return number;
  }

  // Option bytes of the next segment, a multiple of 4.
  void options(std::vector<std::uint8_t> bytes) { options_ = std::move(bytes); }

  // A segment; `seq` and `ack` relative to the two initial sequence numbers.
  void segment(std::int64_t at, std::string_view from, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0,
               std::uint32_t length = 0, std::uint16_t window = 512) {
    const bool is_client = from == "client";
    Packet packet;
    packet.bytes = bytes(is_client, flags, (is_client ? client_isn : server_isn) + seq,
                         (is_client ? server_isn : client_isn) + ack, length, window, options_);
    options_.clear();
    packet.original_length = static_cast<std::uint32_t>(packet.bytes.size());
    recording_.events.push_back({time(at), {}, packet});
  }

  void sample(std::int64_t from, std::int64_t at, std::string_view who, std::string_view before,
              std::string_view after) {
    SocketState state;
    state.socket = who == "client" ? 11 : 22;
    state.local = who == "client" ? client() : server();
    state.remote = who == "client" ? server() : client();
    read_name(before, state.from), read_name(after, state.to);
    state.not_before = time(from);
    recording_.events.push_back({time(at), {}, state});
  }

  void counter(std::int64_t from, std::int64_t at, std::string name, std::int64_t delta = 1) {
    recording_.events.push_back({time(at), {}, CounterMoved{std::move(name), delta, "", time(from)}});
  }

  // --- The kernel's own words. Sequence numbers relative, as in segment(). ---

  struct Said {
    std::string_view trigger;
    std::string name;
    std::optional<std::uint32_t> call = {};
  };
  void cause(std::int64_t at, std::string_view who, std::string_view flags, std::uint32_t seq, std::uint32_t ack,
             std::uint32_t length, Said said) {
    const bool is_client = who == "client";
    SegmentCause cause;
    cause.socket = cookie_of(who);
    cause.local = address_of(who), cause.remote = address_of(is_client ? "server" : "client");
    cause.flags = wire::TcpFlags::parse(flags).value();
    cause.seq = (is_client ? client_isn : server_isn) + seq;
    cause.ack = cause.flags.ack() ? (is_client ? server_isn : client_isn) + ack : 0;
    cause.length = length;
    read_name(said.trigger, cause.trigger), cause.name = std::move(said.name), cause.call = said.call;
    recording_.events.push_back({time(at), {}, cause});
  }
  // A state from the tracepoint: exact.
  void state(std::int64_t at, std::string_view who, std::string_view before, std::string_view after) {
    SocketState state;
    state.socket = cookie_of(who);
    state.local = address_of(who), state.remote = address_of(who == "client" ? "server" : "client");
    read_name(before, state.from), read_name(after, state.to);
    recording_.events.push_back({time(at), {}, state});
  }
  void reset(std::int64_t at, std::string_view who, bool sent, bool active, std::string reason) {
    Reset reset{.sent = sent,
                .active = active,
                .socket = cookie_of(who),
                .local = {},
                .remote = {},
                .reason = {},
                .call = {},
                .unread = {}};
    reset.local = address_of(who), reset.remote = address_of(who == "client" ? "server" : "client");
    reset.reason = std::move(reason);
    recording_.events.push_back({time(at), {}, reset});
  }
  void socket_error(std::int64_t at, std::string_view who, int error) {
    recording_.events.push_back(
        {time(at),
         {},
         SocketError{cookie_of(who), address_of(who), address_of(who == "client" ? "server" : "client"), error}});
  }
  // `to` throws away what came from the other.
  void dropped(std::int64_t at, std::string_view to, std::string_view flags, std::uint32_t seq, std::uint32_t ack,
               std::uint32_t length, std::string reason) {
    const bool from_client = to != "client";
    SegmentDropped drop;
    drop.from = address_of(from_client ? "client" : "server"), drop.to = address_of(to);
    drop.flags = wire::TcpFlags::parse(flags).value();
    drop.seq = (from_client ? client_isn : server_isn) + seq;
    drop.ack = drop.flags.ack() ? (from_client ? server_isn : client_isn) + ack : 0;
    drop.length = length;
    drop.reason = std::move(reason), drop.function = "tcp_v4_rcv";
    recording_.events.push_back({time(at), {}, drop});
  }
  static std::uint64_t cookie_of(std::string_view who) { return who == "client" ? 11 : 22; }
  static wire::SocketAddress address_of(std::string_view who) { return who == "client" ? client() : server(); }
  // The latest event of a kind, to add what a probe may know of it.
  template <class Kind>
  Kind& last() {
    for (auto event = recording_.events.rbegin();; ++event)
      if (auto* what = std::get_if<Kind>(&event->what)) return *what;
  }
  CallEntered& last_call() { return last<CallEntered>(); }
  CallReturned& last_return() { return last<CallReturned>(); }

  // From now on the client's segments are another connection's, from that port.
  void from_port(std::uint16_t port) { client_port_ = port; }

  void event(std::int64_t at, std::string_view who, What what) { push(at, who == "client", std::move(what)); }

  // connect, SYN, SYN-ACK, ACK; done at 50 µs.
  void connect() {
    call("client", 10, 50, "connect",
         "3, {sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr(\"127.0.0.1\")}, 16");
    segment(20, "client", 0x002, 0);
    segment(25, "server", 0x012, 0, 1);
    segment(30, "client", 0x010, 1, 1);
  }
  // listen, the same, accept; done at 100 µs.
  void open() {
    call("server", 0, 1, "listen", "3, 128");
    connect();
    call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  }

  Recording take() {
    sort_by_time(recording_);
    return std::move(recording_);
  }
  Provenance& provenance() { return recording_.provenance; }

 private:
  static wire::SocketAddress address(std::uint16_t port) {
    constexpr std::uint8_t loopback[4] = {127, 0, 0, 1};
    return {wire::IpAddress::v4(loopback), port};
  }
  static wire::SocketAddress address_of_listener() {
    constexpr std::uint8_t any[4] = {0, 0, 0, 0};
    return {wire::IpAddress::v4(any), 9999};
  }
  static base::WallTime time(std::int64_t us) { return base::wall_from_ns(1'700'000'000'000'000'000 + us * 1000); }

  void push(std::int64_t at, bool is_client, What what) {
    recording_.events.push_back({time(at), ActorId{is_client ? 1U : 0U}, std::move(what)});
  }

  [[nodiscard]] std::vector<std::uint8_t> bytes(bool is_client, std::uint16_t flags, std::uint32_t seq,
                                                std::uint32_t ack, std::uint32_t length, std::uint16_t window,
                                                const std::vector<std::uint8_t>& option_bytes) const {
    const auto extra = static_cast<std::uint32_t>(option_bytes.size());
    std::vector<std::uint8_t> out(12, 0);
    const auto put16 = [&](std::uint32_t v) { out.push_back(std::uint8_t(v >> 8)), out.push_back(std::uint8_t(v)); };
    const auto put32 = [&](std::uint32_t v) { put16(v >> 16), put16(v & 0xffff); };
    put16(0x0800);
    put16(0x4500), put16(40 + extra + length), put32(0), put16(0x4006), put16(0);
    put32(0x7f000001), put32(0x7f000001);
    put16(is_client ? client_port_ : 9999), put16(is_client ? 9999 : client_port_);
    put32(seq), put32(flags & 0x10 ? ack : 0), put16(0x5000U + extra / 4 * 0x1000U + flags), put16(window), put32(0);
    out.insert(out.end(), option_bytes.begin(), option_bytes.end());
    out.resize(out.size() + length, 'x');
    return out;
  }

  Recording recording_;
  std::vector<std::uint8_t> options_;
  std::uint32_t next_call_ = 1;
  std::uint16_t client_port_ = 40000;
};

}  // namespace tcpwhy::recording::testing
