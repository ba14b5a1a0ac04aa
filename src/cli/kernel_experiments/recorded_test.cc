// One of our recordings as an account.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "cli/kernel_experiments/account.h"
#include "wire/packet.h"

namespace tcpwhy::cli::kernel_experiments {
namespace {

using recording::Recording;

std::string error_name(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

// ECONNRESET of `[ECONNRESET], [4]`, hello of `"hello"`.
std::string between(const std::string& text, char open, char close) {
  const auto start = text.find(open);
  const auto end = start == std::string::npos ? start : text.find(close, start + 1);
  return end == std::string::npos ? std::string{} : text.substr(start + 1, end - start - 1);
}

// "IN|OUT|RDHUP" of `[{fd=3, revents=POLLIN|POLLOUT|POLLRDHUP}]`.
std::string poll_answer(const std::string& detail) {
  const auto at = detail.find("revents=");
  if (at == std::string::npos) return "0";
  std::string answer;
  for (const auto& word : split(detail.substr(at + 8, detail.find('}', at) - at - 8), "|"))
    answer += (answer.empty() ? "" : "|") + word.substr(word.starts_with("POLL") ? 4 : 0);
  return answer;
}

// The table shows what was read where it is short.
constexpr std::int64_t shown = 100;

std::string result_of(const std::string& name, const recording::CallReturned& returned) {
  if (name == "poll") return poll_answer(returned.detail);
  if (returned.result < 0) return fmt::format("-1 {}", error_name(returned.error));
  if (name == "accept") return "fd";
  if (name == "getsockopt") return between(returned.detail, '[', ']');
  if ((name == "recv" || name == "read") && returned.result > 0 && returned.result < shown)
    return fmt::format("{} '{}'", returned.result, between(returned.detail, '"', '"'));
  return std::to_string(returned.result);
}

Lines calls_of(const Recording& recording) {
  std::map<std::uint32_t, const recording::CallReturned*> returns;
  std::set<std::uint32_t> pierced;  // calls in which SIGPIPE came
  for (const auto& event : recording.events) {
    if (const auto* returned = std::get_if<recording::CallReturned>(&event.what)) returns[returned->call] = returned;
    const auto* signal = std::get_if<recording::Signal>(&event.what);
    if (signal != nullptr && signal->name == "SIGPIPE" && signal->call) pierced.insert(*signal->call);
  }
  Lines calls;
  for (const auto& event : recording.events) {
    const auto* entered = std::get_if<recording::CallEntered>(&event.what);
    if (entered == nullptr) continue;
    const std::string name = plain_call_name(entered->name);
    if (!returns.contains(entered->call)) {
      calls.push_back(name + std::string(never_back_words));
      continue;
    }
    calls.push_back(fmt::format("{} = {}{}", name, result_of(name, *returns[entered->call]),
                                pierced.contains(entered->call) ? "+SIGPIPE" : ""));
  }
  return calls;
}

// The ends of the packets, numbered as they appear, and each one's initial sequence number towards each other.
class Numbering {
 public:
  std::string line(const wire::TcpSegment& segment) {
    const int from = number(segment.source), to = number(segment.destination);
    std::uint32_t& base = start_[{from, to}];
    if (segment.flags.syn()) base = segment.seq.value;
    const auto other = start_.find({to, from});
    std::uint32_t seq = segment.seq.value - base;
    std::string text = fmt::format("{}>{}[{}]{}", from, to, wire::to_string(segment.flags), seq);
    if (segment.payload_length > 0)
      text += fmt::format(":{}({})", seq + segment.payload_length, segment.payload_length);
    if (segment.flags.ack() && other != start_.end()) text += fmt::format(" a{}", segment.ack.value - other->second);
    for (const auto& block : segment.options.sack())
      if (other != start_.end())
        text += fmt::format(" sack{}:{}", block.left.value - other->second, block.right.value - other->second);
    if (segment.window == 0 && !segment.flags.rst()) text += " win0";
    if (segment.flags.urg()) text += fmt::format(" urg{}", segment.urgent_pointer);
    if (const auto cookie = segment.options.fast_open_cookie_length) text += *cookie == 0 ? " tfo=req" : " tfo=cookie";
    if (segment.options.md5_signature) text += " md5";
    return text;
  }

 private:
  int number(const wire::SocketAddress& address) {
    return numbers_.try_emplace(wire::to_string(address), static_cast<int>(numbers_.size()) + 1).first->second;
  }
  std::map<std::string, int> numbers_;
  std::map<std::pair<int, int>, std::uint32_t> start_;
};

Lines packets_of(const Recording& recording, std::uint32_t tap) {
  Numbering numbering;
  Lines packets;
  for (const auto& event : recording.events) {
    const auto* packet = std::get_if<recording::Packet>(&event.what);
    if (packet == nullptr || packet->interface.value != tap) continue;
    const auto seen = wire::dissect(recording.interfaces[tap].link_type, packet->bytes, packet->original_length);
    if (seen.kind == wire::Dissection::tcp) packets.push_back(numbering.line(seen.segment));
  }
  return packets;
}

// FIN-WAIT-1 is FIN_WAIT1 to the kernel.
std::string kernels_state(tcp::State state) {
  const std::string name(tcp::name(state));
  static const std::map<std::string, std::string> spelling = {
      {"CLOSED", "CLOSE"},         {"SYN-SENT", "SYN_SENT"},    {"SYN-RECEIVED", "SYN_RECV"},
      {"FIN-WAIT-1", "FIN_WAIT1"}, {"FIN-WAIT-2", "FIN_WAIT2"}, {"CLOSE-WAIT", "CLOSE_WAIT"},
      {"LAST-ACK", "LAST_ACK"},    {"TIME-WAIT", "TIME_WAIT"}};
  const auto found = spelling.find(name);
  return found == spelling.end() ? name : found->second;
}

Lines states_of(const Recording& recording) {
  std::map<std::uint64_t, std::string> walks;
  for (const auto& event : recording.events) {
    const auto* state = std::get_if<recording::SocketState>(&event.what);
    if (state == nullptr || state->not_before || state->socket == 0) continue;
    std::string& walk = walks[state->socket];
    if (walk.empty()) walk = kernels_state(state->from);
    walk += ">" + kernels_state(state->to);
  }
  Lines states;
  for (auto& [socket, walk] : walks) {
    if (walk.starts_with("CLOSE>LISTEN")) continue;  // the table leaves the listeners out
    if (walk.ends_with(">CLOSE")) walk.resize(walk.size() - 6);
    states.push_back(walk);
  }
  std::ranges::sort(states);
  return states;
}

void read_kernel_events(const Recording& recording, Account& account) {
  std::map<std::string, std::int64_t> sums;
  for (const auto& event : recording.events) {
    if (const auto* reset = std::get_if<recording::Reset>(&event.what))
      account.resets.push_back(reset->sent ? reset->reason + (reset->active ? "(active)" : "") : "received");
    if (const auto* drop = std::get_if<recording::SegmentDropped>(&event.what);
        drop != nullptr && !is_noise(drop->reason))
      account.drops.push_back(fmt::format("[{}] {}", drop->flags, drop->reason));
    if (const auto* error = std::get_if<recording::SocketError>(&event.what); error != nullptr && error->error != 0)
      account.errors.push_back(error_name(error->error));
    if (const auto* signal = std::get_if<recording::Signal>(&event.what);
        signal != nullptr && signal->name == "SIGPIPE" && signal->fate == recording::SignalFate::handled)
      account.signals.push_back(signal->name);
    if (const auto* ended = std::get_if<recording::ProcessEnded>(&event.what);
        ended != nullptr && ended->signal == "SIGPIPE")
      account.signals.push_back(ended->signal);
    if (const auto* moved = std::get_if<recording::CounterMoved>(&event.what)) sums[moved->name] += moved->delta;
  }
  for (const auto& [name, sum] : sums)
    if (sum != 0) account.counters.push_back(fmt::format("{} {:+}", name, sum));
  std::ranges::sort(account.resets);
  std::ranges::sort(account.drops);
  std::ranges::sort(account.errors);
}

}  // namespace

Account recorded(const Recording& recording, std::uint32_t tap) {
  Account account;
  account.calls = calls_of(recording);
  if (tap < recording.interfaces.size()) account.packets = packets_of(recording, tap);
  account.states = states_of(recording);
  read_kernel_events(recording, account);
  return account;
}

}  // namespace tcpwhy::cli::kernel_experiments
