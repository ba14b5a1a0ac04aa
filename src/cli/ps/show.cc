#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/json_text.h"
#include "base/text.h"
#include "cli/ps/illness.h"
#include "render/timeline/text.h"

namespace tcpwhy::cli::ps {
namespace {

using explain::Language;
using render::Style;
using trace::Holder;
using trace::SocketSnapshot;

std::string_view pick(Language language, std::string_view en, std::string_view zh) {
  return language == Language::zh ? zh : en;
}

Style style_of(Severity severity) {
  switch (severity) {
    case Severity::error: return Style::bad;
    case Severity::warning: return Style::changed;
    case Severity::note:
    case Severity::chat: return Style::plain;
  }
  return Style::plain;
}

// "python3 (pid 42, fd 4)"; who it is where no process holds it.
std::string owner_words(const Facts& facts, const SocketSnapshot& socket, Language language) {
  switch (socket.holder) {
    case Holder::accept_queue: return std::string(pick(language, "waits for accept()", "等待 accept()"));
    case Holder::request: return std::string(pick(language, "handshake under way", "握手进行中"));
    case Holder::kernel: return std::string(pick(language, "held by no process", "没有进程持有"));
    case Holder::process: break;
  }
  std::string text;
  const auto& holders = facts.holders.of(socket.inode);
  for (std::size_t i = 0; i < std::min<std::size_t>(holders.size(), 3); ++i)
    text += fmt::format("{}{} (pid {}, fd {})", i == 0 ? "" : ", ", base::escape_controls(holders[i].command),
                        holders[i].pid, holders[i].fd);
  if (holders.size() > 3) text += fmt::format(" +{}", holders.size() - 3);
  if (text.empty())
    text = facts.holders.not_permitted > 0
               ? fmt::format(fmt::runtime(pick(language, "a process of uid {}", "uid {} 的进程")), socket.uid)
               : std::string(pick(language, "no process found", "未找到进程"));
  return text;
}

std::string ends_words(const SocketSnapshot& socket) {
  if (socket.state == tcp::State::listen) return wire::to_string(socket.local);
  return fmt::format("{} - {}", socket.local, socket.remote);
}

class Text {
 public:
  Text(const Facts& facts, const Diagnosis& diagnosis, const ShowOptions& options)
      : facts_(facts), diagnosis_(diagnosis), options_(options) {}

  std::string print() {
    std::set<Kind> advised;
    for (std::size_t i = 0; i < diagnosis_.illnesses.size(); ++i) {
      const Illness& illness = diagnosis_.illnesses[i];
      one(illness);
      // The same advice once, under the last of its kind in a row.
      const bool last = i + 1 == diagnosis_.illnesses.size() || diagnosis_.illnesses[i + 1].kind != illness.kind;
      if (last && advised.insert(illness.kind).second) advise(illness.kind);
    }
    time_waits();
    if (options_.all) healthy();
    summary();
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::size_t width() const { return std::max<std::size_t>(options_.width, 80); }
  [[nodiscard]] Language language() const { return options_.language; }
  void put(Style style, std::string_view text, std::size_t first, std::size_t indent) {
    out_ += render::styled(style, base::wrap(text, first, indent, width()), options_.color) + "\n";
  }

  void one(const Illness& illness) {
    const SocketSnapshot& socket = facts_.sockets[illness.socket];
    put(Style::plain, fmt::format("{}  {}", ends_words(socket), owner_words(facts_, socket, language())), 0, 2);
    put(style_of(illness.severity), fmt::format("{}: {}", explain::name(illness.severity), illness.text.in(language())),
        2, 4);
  }

  void advise(Kind kind) {
    const auto& row = row_of(kind);
    const auto advice = pick(language(), row.what_to_do_en, row.what_to_do_zh);
    if (!advice.empty())
      put(Style::good, fmt::format("{}{}", pick(language(), "what to do: ", "怎么办："), advice), 2, 4);
  }

  void time_waits() {
    for (const TimeWaits& waits : diagnosis_.time_waits) {
      if (waits.severity == Severity::chat && !options_.all) continue;
      const auto text =
          fmt::format(fmt::runtime(pick(
                          language(), "{}: {} TIME-WAIT entries from {} to {}, of {} local ports (ip_local_port_range)",
                          "{}：从 {2} 到 {3} 有 {1} 个 TIME-WAIT 条目，本地端口共 {4} 个（ip_local_port_range）")),
                      explain::name(waits.severity), waits.count, waits.local, waits.remote, facts_.local_ports);
      put(style_of(waits.severity), text, 0, 2);
      if (waits.severity >= Severity::warning)
        put(Style::good,
            pick(language(), "what to do: keep connections and use them again; or let the other side close first",
                 "怎么办：复用连接；或让对方先关闭"),
            2, 4);
    }
  }

  void healthy() {
    std::set<std::size_t> ill;
    for (const Illness& illness : diagnosis_.illnesses) ill.insert(illness.socket);
    for (std::size_t i = 0; i < facts_.sockets.size(); ++i) {
      const SocketSnapshot& socket = facts_.sockets[i];
      if (ill.contains(i) || socket.state == tcp::State::time_wait) continue;
      put(Style::dim,
          fmt::format("{}  {}  {}", ends_words(socket), tcp::name(socket.state),
                      owner_words(facts_, socket, language())),
          0, 2);
    }
  }

  void summary() {
    std::set<std::size_t> ill;
    for (const Illness& illness : diagnosis_.illnesses) ill.insert(illness.socket);
    put(Style::heading,
        fmt::format(
            fmt::runtime(pick(language(), "{} sockets, {} with something to say.", "{} 个套接字，其中 {} 个有情况。")),
            facts_.sockets.size(), ill.size()),
        0, 2);
    if (facts_.listen_overflows.value_or(0) > 0 || facts_.listen_drops.value_or(0) > 0)
      put(Style::plain,
          fmt::format(
              fmt::runtime(pick(
                  language(),
                  "Since this network namespace began: accept queues overflowed {} times (ListenOverflows), {} SYNs or handshakes were dropped (ListenDrops).",
                  "自该网络命名空间建立以来：accept 队列溢出 {} 次（ListenOverflows），丢弃 SYN 或握手 {} 次（ListenDrops）。")),
              facts_.listen_overflows.value_or(0), facts_.listen_drops.value_or(0)),
          0, 2);
    if (facts_.holders.not_permitted > 0)
      put(Style::dim,
          fmt::format(fmt::runtime(pick(language(), "Not permitted to see the descriptors of {} of {} processes{}.",
                                        "没有权限查看 {} 个进程（共 {} 个）的描述符{}。")),
                      facts_.holders.not_permitted, facts_.holders.processes,
                      facts_.as_root
                          ? ""
                          : pick(language(), ": as root it would say which process", "：以 root 运行可知是哪个进程")),
          0, 2);
    if (!facts_.complete)
      put(Style::bad,
          pick(language(), "The kernel's tables changed while they were read: something may be missing.",
               "读取时内核的表发生了变化：可能有遗漏。"),
          0, 2);
    if (!facts_.holders.complete)
      put(Style::bad,
          pick(language(), "There are too many descriptors: some holders were not looked for.",
               "描述符过多：部分持有者未查找。"),
          0, 2);
  }

  const Facts& facts_;
  const Diagnosis& diagnosis_;
  const ShowOptions& options_;
  std::string out_;
};

using Json = nlohmann::ordered_json;

Json socket_json(const Facts& facts, const SocketSnapshot& socket) {
  constexpr std::string_view holders[] = {"process", "accept queue", "request", "kernel"};
  constexpr std::string_view timers[] = {"off", "retransmission", "keep-alive", "time-wait", "zero-window probe"};
  const auto& activity = socket.activity;
  Json object = {{"local", wire::to_string(socket.local)},
                 {"remote", socket.state == tcp::State::listen ? Json(nullptr) : Json(wire::to_string(socket.remote))},
                 {"state", tcp::name(socket.state)},
                 {"cookie", socket.cookie},
                 {"uid", socket.uid},
                 {"holder", holders[static_cast<std::size_t>(socket.holder)]},
                 {"receive_queue", socket.receive_queue},
                 {"send_queue", socket.send_queue},
                 {"timer", timers[static_cast<std::size_t>(activity.timer)]},
                 {"timer_expires_ms", activity.timer_expires_ms},
                 {"retransmissions", activity.retransmissions}};
  if (socket.tcp) {
    object["last_data_sent_ms"] = activity.last_data_sent_ms;
    object["last_data_received_ms"] = activity.last_data_received_ms;
    object["last_ack_received_ms"] = activity.last_ack_received_ms;
    object["send_window"] = activity.send_window ? Json(*activity.send_window) : Json(nullptr);
  }
  object["processes"] = Json::array();
  for (const auto& holder : facts.holders.of(socket.inode))
    object["processes"].push_back(
        {{"pid", holder.pid}, {"fd", holder.fd}, {"command", base::escape_controls(holder.command)}});
  object["findings"] = Json::array();
  return object;
}

}  // namespace

std::string as_text(const Facts& facts, const Diagnosis& diagnosis, const ShowOptions& options) {
  return Text(facts, diagnosis, options).print();
}

void write_json(const Facts& facts, const Diagnosis& diagnosis, Language language, const Write& write) {
  const auto dumped = [](const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); };
  // The members of an object, as dump(2) has them, without its braces.
  const auto members = [&](const Json& object) {
    const std::string text = dumped(object);
    return text.substr(2, text.size() - 4);
  };
  const auto put = [&](std::string text) { write(base::escape_controls_in_json(std::move(text))); };
  put("{\n" +
      members({{"schema", "tcpwhy-ps/1"}, {"program", "tcpwhy " TCPWHY_VERSION}, {"complete", facts.complete}}) +
      ",\n  \"sockets\": [");

  // One socket after the other, each with what is wrong with it, the worst first.
  std::vector<const Illness*> by_socket;
  for (const Illness& illness : diagnosis.illnesses) by_socket.push_back(&illness);
  std::ranges::stable_sort(by_socket, {}, &Illness::socket);
  auto next = by_socket.begin();
  std::string piece;
  constexpr std::size_t good_piece = 64 * 1024;
  for (std::size_t i = 0; i < facts.sockets.size(); ++i) {
    Json object = socket_json(facts, facts.sockets[i]);
    for (; next != by_socket.end() && (*next)->socket == i; ++next) {
      const Illness& illness = **next;
      const auto& row = row_of(illness.kind);
      object["findings"].push_back({{"id", row.id},
                                    {"severity", explain::name(illness.severity)},
                                    {"text", illness.text.in(language)},
                                    {"since_ms", illness.since ? Json(illness.since->count()) : Json(nullptr)},
                                    {"what_to_do", pick(language, row.what_to_do_en, row.what_to_do_zh)}});
    }
    piece += i == 0 ? "\n    " : ",\n    ";
    for (const char c : dumped(object)) piece += c == '\n' ? std::string("\n    ") : std::string(1, c);
    if (piece.size() >= good_piece) put(std::exchange(piece, {}));
  }
  put(piece + (facts.sockets.empty() ? "],\n" : "\n  ],\n"));

  Json rest;
  rest["time_wait"] = Json::array();
  for (const TimeWaits& waits : diagnosis.time_waits)
    rest["time_wait"].push_back({{"local", wire::to_string(waits.local)},
                                 {"remote", wire::to_string(waits.remote)},
                                 {"count", waits.count},
                                 {"severity", explain::name(waits.severity)}});
  rest["local_ports"] = facts.local_ports;
  rest["listen_overflows"] = facts.listen_overflows ? Json(*facts.listen_overflows) : Json(nullptr);
  rest["listen_drops"] = facts.listen_drops ? Json(*facts.listen_drops) : Json(nullptr);
  rest["processes_not_permitted"] = facts.holders.not_permitted;
  put(members(rest) + "\n}\n");
}

}  // namespace tcpwhy::cli::ps
