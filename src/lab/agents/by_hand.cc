#include "lab/agents/by_hand.h"

#include <fmt/format.h>
#include <netdb.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "calls/names.h"
#include "calls/spelling/line.h"
#include "lab/language/scenario_parser.h"
#include "trace/socket_sampler.h"

namespace tcpwhy::lab {
namespace {

constexpr std::size_t longest_line = 64 * 1024;

SignalLog handled_signals;

class Session {
 public:
  explicit Session(const Terminal& terminal)
      : in_(terminal.in),
        out_(terminal.out),
        language_(terminal.language),
        prompts_(isatty(fileno(in_)) != 0 && isatty(fileno(out_)) != 0) {}

  // The batch that a call stands for; each system call is printed. The result of the last one made.
  std::int64_t make(const CallSpec& spec, const Resolved& resolved) {
    std::vector<ReadyCall> calls;
    std::string payload;
    append_ready(calls, payload, spec, resolved);
    std::vector<std::unique_ptr<CallSlot>> slots;
    for (ReadyCall& call : calls) {
      slots.push_back(std::make_unique<CallSlot>());
      if (call.needs_previous && slots[slots.size() - 2]->result < 0) break;
      if (call.fd_from >= 0) call.fd = slots[static_cast<std::size_t>(call.fd_from)]->new_fd;
      run_printed(call, payload, *slots.back());
      learn(spec, call, *slots.back());
      result_ = slots.back()->result;
    }
    return result_;
  }

  void listens_on(const wire::SocketAddress& address) { address_ = address; }
  void talks_to(const wire::SocketAddress& address) { address_ = address; }
  [[nodiscard]] const wire::SocketAddress& address() const { return address_; }

  // What could not be printed.
  [[nodiscard]] base::Status status() const {
    return error_ == 0 ? base::Status() : base::fail_errno({"writing the output", "写入输出"}, error_);
  }

  void read_commands() {
    std::string line;
    while (error_ == 0 && read_line(line)) {
      const std::string_view command = trim(line);
      if (command.empty() || command.starts_with('#')) continue;
      if (command == "quit") return;
      if (command == "help")
        print_help();
      else if (command == "state")
        print_states();
      else
        make_typed(command);
    }
  }

 private:
  static std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
  }

  bool read_line(std::string& line) {
    if (prompts_) write("tcpwhy> ");
    line.clear();
    for (int c = std::fgetc(in_); c != EOF; c = std::fgetc(in_)) {
      if (c == '\n') return true;
      if (line.size() < longest_line) line += static_cast<char>(c);
    }
    return !line.empty();
  }

  void write(std::string_view text) {
    if (error_ != 0) return;
    const bool whole = std::fwrite(text.data(), 1, text.size(), out_) == text.size() && std::fflush(out_) == 0;
    if (!whole) error_ = errno;
  }

  void say(const base::Text& text) { write(text.in(language_)); }

  void make_typed(std::string_view command) {
    const auto typed = parse_typed_call(command);
    if (!typed) {
      const base::Error& error = typed.error();
      say(error.message);
      if (!error.hint.empty()) say(base::format({" ({})", "（{}）"}, error.hint));
      return write("\n");
    }
    const CallSpec& spec = typed->spec;
    Resolved resolved;
    resolved.family = address_.ip.family == wire::IpFamily::v6 ? AF_INET6 : AF_INET;
    resolved.address = address_;
    if (spec.port) resolved.address->port = *spec.port;
    resolved.on_existing_socket = typed->fd.has_value() || !spec.descriptor.empty();
    const bool about_listener = spec.descriptor == "listener" || spec.id == CallId::accept;
    resolved.fd = typed->fd.value_or(about_listener ? listener_ : connection_);
    make(spec, resolved);
  }

  // The call as far as it is known goes out before it is made: it may not come back.
  void run_printed(ReadyCall& call, const std::string& payload, CallSlot& slot) {
    MadeCall made{call, payload, slot, false, getpid()};
    const std::string_view name = row_of(call.id).recorded_name;
    std::string arguments, begun;
    const auto tell_entry = [&] {
      constexpr std::string_view unfinished = "<unfinished ...>";
      arguments = spell_entry(made).arguments;
      begun = calls::unfinished_line(name, arguments);
      begun.resize(begun.size() - unfinished.size());
      while (begun.ends_with(' ')) begun.pop_back();
      write(begun);
    };
    run_call(call, {payload, {}, tell_entry}, slot);
    made.returned = true;
    const calls::Return back = spell_return(made);
    const std::string line = calls::returned_line(name, arguments, back.result, back.error, back.detail);
    write(line.substr(std::min(begun.size(), line.size())) + "\n");
    print_handled_signals();
  }

  void print_handled_signals() {
    for (; signals_told_ < handled_signals.count.load() && signals_told_ < SignalLog::capacity; ++signals_told_)
      say(base::format({"--- {} (handled) ---\n", "--- {}（已处理）---\n"},
                       calls::signal_name(handled_signals.slots[signals_told_].signal)));
  }

  void learn(const CallSpec& spec, const ReadyCall& call, const CallSlot& slot) {
    if (slot.new_fd >= 0 && call.id != CallId::dup) (spec.id == CallId::listen ? listener_ : connection_) = slot.new_fd;
  }

  void print_help() {
    say({"calls (@N in front of the arguments names a descriptor):\n", "调用（参数前的 @N 指定描述符）：\n"});
    for (const CallRow& row : call_table()) {
      if (!row.not_supported.empty() || row.id == CallId::fork) continue;
      write(fmt::format("  {:<11} {}\n", row.name, typed_usage(row)));
    }
    say({"  state       both ends' states, as the kernel of this host has them\n",
         "  state       两端的状态，以本机内核所见为准\n"});
    say({"  quit        (or the end of the input)\n", "  quit        （或输入结束）\n"});
  }

  // send([FD,] "BYTES" [, FLAGS]) -> what is typed.
  [[nodiscard]] std::string typed_usage(const CallRow& row) const {
    static constexpr std::pair<CallId, base::Text> lines[] = {
        {CallId::send, {"send hello", "send hello"}},
        {CallId::write, {"write hello", "write hello"}},
        {CallId::recv, {"recv [SIZE] [MSG_PEEK|MSG_DONTWAIT]", "recv [SIZE] [MSG_PEEK|MSG_DONTWAIT]"}},
        {CallId::read, {"read [SIZE]", "read [SIZE]"}},
        {CallId::shutdown, {"shutdown wr", "shutdown wr"}},
        {CallId::setsockopt, {"setsockopt SO_LINGER 1 0", "setsockopt SO_LINGER 1 0"}},
        {CallId::getsockopt, {"getsockopt SO_ERROR", "getsockopt SO_ERROR"}},
        {CallId::signal, {"signal ignore (or handle, default)", "signal ignore（或 handle、default）"}},
        {CallId::kill, {"kill SIGKILL", "kill SIGKILL"}},
        {CallId::connect, {"connect peer (the same address again)", "connect peer（再次连接同一地址）"}},
        {CallId::listen, {"listen [PORT]", "listen [PORT]"}},
        {CallId::exit, {"exit [STATUS]", "exit [STATUS]"}}};
    for (const auto& [id, line] : lines)
      if (id == row.id) return std::string(line.in(language_));
    return std::string(row.name);
  }

  // Both ends, where both are on this host: every socket of the port.
  void print_states() {
    auto sampler = trace::SocketSampler::open();
    const auto sample = sampler ? sampler->sample() : std::unexpected(sampler.error());
    if (!sample) return say(base::format({"{}\n", "{}\n"}, sample.error().message));
    bool any = false;
    for (const recording::SocketSnapshot& socket : sample->sockets) {
      if (socket.local.port != address_.port && socket.remote.port != address_.port) continue;
      const std::string remote =
          socket.state == tcp::State::listen ? "" : fmt::format(" - {}", wire::to_string(socket.remote));
      const bool orphan = socket.holder == recording::HeldBy::kernel;
      any = true;
      write(fmt::format("{}{} {}", wire::to_string(socket.local), remote, tcp::name(socket.state)));
      if (orphan) say({" (no process has it any more)", "（已不属于任何进程）"});
      if (socket.receive_queue != 0)
        say(base::format({", {} in the receive queue", "，接收队列中有 {}"}, socket.receive_queue));
      write("\n");
    }
    if (!any) say(base::format({"no socket of port {}\n", "端口 {} 上没有套接字\n"}, address_.port));
  }

  std::FILE* in_;
  std::FILE* out_;
  base::Language language_;
  bool prompts_;
  int error_ = 0;  // errno of the write that failed
  wire::SocketAddress address_;
  std::int32_t listener_ = -1, connection_ = -1;
  std::int64_t result_ = -1;
  std::uint32_t signals_told_ = 0;
};

Resolved resolved_for(const wire::SocketAddress& address) {
  Resolved resolved;
  resolved.address = address;
  resolved.family = address.ip.family == wire::IpFamily::v6 ? AF_INET6 : AF_INET;
  return resolved;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned port = 0;
  if (text.empty() || text.size() > 5) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  if (port < 1 || port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

}  // namespace

base::Result<wire::SocketAddress> parse_listen_address(std::string_view text) {
  const auto wrong = [&] {
    return base::fail(
        base::ErrorKind::usage,
        base::format({"no address to listen on: {}", "不是可监听的地址：{}"}, base::escape_controls(text)),
        {"PORT, ADDRESS:PORT or [ADDRESS]:PORT, such as 9999, 127.0.0.1:9999, [::1]:9999",
         "PORT、ADDRESS:PORT 或 [ADDRESS]:PORT，如 9999、127.0.0.1:9999、[::1]:9999"});
  };
  wire::SocketAddress address{*wire::IpAddress::parse("0.0.0.0"), default_port};
  if (const auto port = parse_port(text)) return address.port = *port, address;
  if (const auto alone = wire::IpAddress::parse(text)) return address.ip = *alone, address;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong();
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto ip = wire::IpAddress::parse(host);
  const auto port = parse_port(text.substr(colon + 1));
  if (!ip || !port) return wrong();
  return wire::SocketAddress{*ip, *port};
}

base::Result<wire::SocketAddress> find_host(const std::string& host, std::uint16_t port) {
  if (const auto ip = wire::IpAddress::parse(host)) return wire::SocketAddress{*ip, port};
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
    return base::fail(base::ErrorKind::usage,
                      base::format({"{}: {}", "{}：{}"}, base::escape_controls(host), gai_strerror(error)));
  sockaddr_storage storage{};
  std::memcpy(&storage, found->ai_addr, std::min<std::size_t>(found->ai_addrlen, sizeof storage));
  const auto address = from_sockaddr(storage, found->ai_addrlen);
  freeaddrinfo(found);
  if (!address)
    return base::fail(base::ErrorKind::usage,
                      base::format({"{}: no internet address", "{}：没有互联网地址"}, base::escape_controls(host)));
  return wire::SocketAddress{address->ip, port};
}

base::Status serve_by_hand(const wire::SocketAddress& listen_on, const Terminal& terminal) {
  reset_signals();
  set_signal_log(&handled_signals);
  Session session(terminal);
  session.listens_on(listen_on);
  CallSpec spec;
  spec.id = CallId::listen;
  if (session.make(spec, resolved_for(listen_on)) < 0)
    return base::fail(
        base::ErrorKind::system, base::format({"cannot listen on {}", "无法在 {} 上监听"}, wire::to_string(listen_on)),
        {"is another program using the port? `ss -ltnp` tells which", "端口被其他程序占用了吗？`ss -ltnp` 会显示"});
  session.read_commands();
  return session.status();
}

base::Status connect_by_hand(const wire::SocketAddress& peer, const Terminal& terminal) {
  reset_signals();
  set_signal_log(&handled_signals);
  Session session(terminal);
  session.talks_to(peer);
  CallSpec spec;
  spec.id = CallId::connect;
  session.make(spec, resolved_for(peer));
  session.read_commands();
  return session.status();
}

}  // namespace tcpwhy::lab
