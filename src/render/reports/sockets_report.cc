#include "render/reports/sockets_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/format.h"
#include "base/json_text.h"
#include "base/text.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using explain::Severity;
using explain::SocketFinding;
using explain::SocketGroup;
using explain::SocketRule;
using explain::SocketsVerdict;
using explain::TimeWaits;
using recording::HeldBy;
using recording::SocketFacts;
using recording::SocketSnapshot;

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
std::string owner_words(const SocketFacts& facts, const SocketSnapshot& socket, Language language) {
  switch (socket.holder) {
    case HeldBy::accept_queue: return std::string(pick(language, "waits for accept()", "等待 accept()"));
    case HeldBy::request: return std::string(pick(language, "handshake under way", "握手进行中"));
    case HeldBy::kernel: return std::string(pick(language, "held by no process", "没有进程持有"));
    case HeldBy::process: break;
  }
  std::string text;
  const auto& holders = facts.holders.of(socket.inode);
  for (std::size_t i = 0; i < std::min<std::size_t>(holders.size(), 3); ++i)
    text += fmt::format("{}{} (pid {}, fd {})", i == 0 ? "" : ", ", base::escape_controls(holders[i].command),
                        holders[i].pid, holders[i].fd);
  if (holders.size() > 3) text += fmt::format(" +{}", holders.size() - 3);
  if (text.empty())
    text = facts.holders.not_permitted > 0
               ? base::format(language, {"a process of uid {}", "uid {} 的进程"}, socket.uid)
               : std::string(pick(language, "no process found", "未找到进程"));
  return text;
}

// The same of several with the same processes: their descriptors differ.
std::string processes_words(const SocketFacts& facts, const SocketSnapshot& socket, Language language) {
  const auto& holders = facts.holders.of(socket.inode);
  if (socket.holder != HeldBy::process || holders.empty()) return owner_words(facts, socket, language);
  std::string text;
  std::set<pid_t> pids;
  for (const auto& holder : holders)
    if (pids.insert(holder.pid).second && pids.size() <= 3)
      text += fmt::format("{}{} (pid {})", text.empty() ? "" : ", ", base::escape_controls(holder.command), holder.pid);
  if (pids.size() > 3) text += fmt::format(" +{}", pids.size() - 3);
  return text;
}

std::string ends_words(const SocketSnapshot& socket) {
  if (socket.state == tcp::State::listen) return wire::to_string(socket.local);
  constexpr std::string_view parts[] = {"", " (MPTCP subflow)", " (MPTCP subflow)", " (MPTCP)"};
  return fmt::format("{} - {}{}", socket.local, socket.remote, parts[static_cast<std::size_t>(socket.mptcp)]);
}

class Text {
 public:
  Text(const SocketFacts& facts, const SocketsVerdict& verdict, const SocketsOptions& options)
      : facts_(facts), verdict_(verdict), options_(options) {}

  std::string print() {
    std::size_t shown = 0, left_out = 0, left_out_sockets = 0;
    for (std::size_t i = 0; i < verdict_.groups.size(); ++i) {
      const SocketGroup& group = verdict_.groups[i];
      if (group.is_effect) continue;
      if (options_.top != 0 && shown == options_.top) {
        ++left_out, left_out_sockets += group.findings.size();
        continue;
      }
      ++shown;
      told(group);
    }
    if (left_out > 0)
      put(Style::dim,
          base::format(language(),
                       {"{} more of the same or less weight, of {} socket{}: --top 0 shows all.",
                        "还有 {} 项同等或较轻的情况，涉及 {} 个套接字：--top 0 全部显示。"},
                       left_out, left_out_sockets, left_out_sockets == 1 ? "" : "s"),
          0, 2);
    time_waits();
    if (options_.all) healthy();
    summary();
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::size_t width() const { return std::max<std::size_t>(options_.text.width, 80); }
  [[nodiscard]] Language language() const { return options_.text.language; }
  void put(Style style, std::string_view text, std::size_t first, std::size_t indent) {
    out_ += styled(style, base::wrap(text, first, indent, width()), options_.text.color) + "\n";
  }
  [[nodiscard]] const SocketFinding& finding_of(const SocketGroup& group, std::size_t i) const {
    return verdict_.findings[group.findings[i]];
  }

  // What is wrong, with what follows from it below.
  void told(const SocketGroup& group) {
    if (options_.all)
      for (std::size_t i = 0; i < group.findings.size(); ++i) one(finding_of(group, i));
    else
      together(group);
    for (const std::size_t effect : group.effects) follows(verdict_.groups[effect]);
    if (!advised_.insert(group.rule).second) return;
    advise(*group.rule);
  }

  [[nodiscard]] std::string sentence(const SocketFinding& finding) const {
    return base::escape_controls(explain::say(finding, facts_, language()));
  }

  void one(const SocketFinding& finding) {
    const SocketSnapshot& socket = facts_.sockets[finding.socket];
    put(Style::plain, fmt::format("{}  {}", ends_words(socket), owner_words(facts_, socket, language())), 0, 2);
    put(style_of(finding.severity),
        fmt::format("{}{}{}", explain::severity_words(finding.severity, language()), pick(language(), ": ", "："),
                    sentence(finding)),
        2, 4);
  }

  // One sentence for all, the worst one's, and a few of them.
  void together(const SocketGroup& group) {
    const SocketFinding& worst = finding_of(group, 0);
    const std::size_t count = group.findings.size();
    if (count == 1) return one(worst);
    const SocketSnapshot& socket = facts_.sockets[worst.socket];
    put(Style::plain,
        base::format(language(), {"{} sockets {} {}  {}", "{} 个套接字，{} {}  {}"}, base::grouped(count),
                     group.server_side ? pick(language(), "at", "位于") : pick(language(), "to", "连往"),
                     group.server_side ? socket.local : socket.remote, processes_words(facts_, socket, language())),
        0, 2);
    put(style_of(group.severity),
        fmt::format("{}{}{}", explain::severity_words(group.severity, language()),
                    pick(language(), ": each; the worst: ", "：每个都是；最严重的："), sentence(worst)),
        2, 4);
    put(Style::dim, examples(group), 2, 4);
  }

  [[nodiscard]] std::string examples(const SocketGroup& group) const {
    constexpr std::size_t most = 3;
    std::string text(pick(language(), "for example ", "例如 "));
    for (std::size_t i = 0; i < std::min(most, group.findings.size()); ++i) {
      const SocketSnapshot& socket = facts_.sockets[finding_of(group, i).socket];
      const auto& holders = facts_.holders.of(socket.inode);
      if (i > 0) text += ", ";
      text += wire::to_string(group.server_side ? socket.remote : socket.local);
      if (!holders.empty()) text += fmt::format(" (fd {})", holders.front().fd);
    }
    if (group.findings.size() > most) text += pick(language(), "; --all shows each", "；--all 逐个显示");
    return text;
  }

  void follows(const SocketGroup& group) {
    const SocketFinding& worst = finding_of(group, 0);
    const SocketSnapshot& socket = facts_.sockets[worst.socket];
    const std::string count =
        group.findings.size() == 1 ? "" : fmt::format("{} × ", base::grouped(group.findings.size()));
    put(style_of(group.severity),
        fmt::format("{}{}{}: {}", pick(language(), "so ", "因此 "), count,
                    group.findings.size() == 1 ? owner_words(facts_, socket, language())
                                               : processes_words(facts_, socket, language()),
                    sentence(worst)),
        2, 4);
  }

  void advise(const SocketRule& rule) {
    const auto advice = rule.remedy.in(language());
    if (!advice.empty())
      put(Style::good, fmt::format("{}{}", pick(language(), "what to do: ", "怎么办："), advice), 2, 4);
  }

  void time_waits() {
    for (const TimeWaits& waits : verdict_.time_waits) {
      if (waits.severity == Severity::chat && !options_.all) continue;
      put(style_of(waits.severity),
          fmt::format("{}{}{}", explain::severity_words(waits.severity, language()), pick(language(), ": ", "："),
                      explain::say(waits, facts_, language())),
          0, 2);
      if (waits.severity >= waits.rule->remedied_from) advise(*waits.rule);
    }
  }

  void healthy() {
    std::set<std::size_t> ill;
    for (const SocketFinding& finding : verdict_.findings) ill.insert(finding.socket);
    for (std::size_t i = 0; i < facts_.asked().size(); ++i) {
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
    for (const SocketFinding& finding : verdict_.findings) ill.insert(finding.socket);
    put(Style::heading,
        base::format(language(), {"{0} socket{2}, {1} with something to say.", "{0} 个套接字，其中 {1} 个有情况。"},
                     facts_.asked().size(), ill.size(), facts_.asked().size() == 1 ? "" : "s"),
        0, 2);
    if (facts_.listen_overflows.value_or(0) > 0 || facts_.listen_drops.value_or(0) > 0)
      put(Style::plain,
          base::format(
              language(),
              {"Since this network namespace began: accept queues overflowed {} times (ListenOverflows), {} SYNs or handshakes were dropped (ListenDrops).",
               "自该网络命名空间建立以来：accept 队列溢出 {} 次（ListenOverflows），丢弃 SYN 或握手 {} 次（ListenDrops）。"},
              facts_.listen_overflows.value_or(0), facts_.listen_drops.value_or(0)),
          0, 2);
    const auto untied = std::ranges::count(facts_.asked(), recording::MptcpPart::subflow, &SocketSnapshot::mptcp);
    if (untied > 0)
      put(Style::dim,
          base::format(language(),
                       {"{} of them are subflows of Multipath TCP connections of which the kernel tells nothing "
                        "(ss -M): their processes and states are not known.",
                        "其中 {} 个是多路径 TCP 连接的子流，内核没有给出这些连接的信息（ss -M）：其进程和状态未知。"},
                       untied),
          0, 2);
    if (facts_.holders.not_permitted > 0)
      put(Style::dim,
          base::format(language(),
                       {"Not permitted to see the descriptors of {} of {} processes{}.",
                        "没有权限查看 {} 个进程（共 {} 个）的描述符{}。"},
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

  const SocketFacts& facts_;
  const SocketsVerdict& verdict_;
  const SocketsOptions& options_;
  std::set<const SocketRule*> advised_;  // the same advice once
  std::string out_;
};

using Json = nlohmann::ordered_json;

Json socket_json(const SocketFacts& facts, const SocketSnapshot& socket) {
  constexpr std::string_view holders[] = {"process", "accept queue", "request", "kernel"};
  constexpr std::string_view mptcp_parts[] = {"none", "subflow", "subflow", "socket"};
  constexpr std::string_view timers[] = {"off", "retransmission", "keep-alive", "time-wait", "zero-window probe"};
  const auto& activity = socket.activity;
  Json object = {{"local", wire::to_string(socket.local)},
                 {"remote", socket.state == tcp::State::listen ? Json(nullptr) : Json(wire::to_string(socket.remote))},
                 {"state", tcp::name(socket.state)},
                 {"cookie", socket.cookie},
                 {"mptcp", mptcp_parts[static_cast<std::size_t>(socket.mptcp)]},
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

std::string sockets_report(const SocketFacts& facts, const SocketsVerdict& verdict, const SocketsOptions& options) {
  return Text(facts, verdict, options).print();
}

void write_sockets_json(const SocketFacts& facts, const SocketsVerdict& verdict, Language language,
                        const WriteText& write) {
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

  const auto cookie_of = [&](std::optional<std::size_t> socket) {
    return socket ? Json(facts.sockets[*socket].cookie) : Json(nullptr);
  };
  // One socket after the other, each with what is wrong with it, the worst first.
  std::vector<const SocketFinding*> by_socket;
  for (const SocketFinding& finding : verdict.findings) by_socket.push_back(&finding);
  std::ranges::stable_sort(by_socket, {}, &SocketFinding::socket);
  auto next = by_socket.begin();
  std::string piece;
  constexpr std::size_t good_piece = 64 * 1024;
  for (std::size_t i = 0; i < facts.asked().size(); ++i) {
    Json object = socket_json(facts, facts.sockets[i]);
    for (; next != by_socket.end() && (*next)->socket == i; ++next) {
      const SocketFinding& finding = **next;
      object["findings"].push_back({{"id", finding.rule->id},
                                    {"severity", explain::name(finding.severity)},
                                    {"text", base::escape_controls(explain::say(finding, facts, language))},
                                    {"since_ms", finding.since ? Json(finding.since->count()) : Json(nullptr)},
                                    {"because_of", cookie_of(finding.because_of)},
                                    {"other_end", cookie_of(finding.peer)},
                                    {"what_to_do", finding.rule->remedy.in(language)}});
    }
    piece += i == 0 ? "\n    " : ",\n    ";
    for (const char c : dumped(object)) piece += c == '\n' ? std::string("\n    ") : std::string(1, c);
    if (piece.size() >= good_piece) put(std::exchange(piece, {}));
  }
  put(piece + (facts.asked().empty() ? "],\n" : "\n  ],\n"));

  Json rest;
  rest["groups"] = Json::array();
  for (const SocketGroup& group : verdict.groups) {
    const SocketFinding& worst = verdict.findings[group.findings.front()];
    const SocketSnapshot& socket = facts.sockets[worst.socket];
    rest["groups"].push_back({{"id", group.rule->id},
                              {"severity", explain::name(group.severity)},
                              {"count", group.findings.size()},
                              {"service", wire::to_string(group.server_side ? socket.local : socket.remote)},
                              {"server_side", group.server_side},
                              {"is_effect", group.is_effect},
                              {"worst", socket.cookie}});
  }
  rest["time_wait"] = Json::array();
  for (const TimeWaits& waits : verdict.time_waits)
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

}  // namespace tcpwhy::render
