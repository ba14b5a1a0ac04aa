#include "render/reports/life_lines.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/json_text.h"
#include "base/text.h"
#include "base/units.h"

namespace tcpwhy::render {
namespace {

using namespace std::chrono_literals;
using recording::SocketLife;
using Json = nlohmann::ordered_json;

std::string name_of(const SocketLife& life) {
  return life.holder.pid == 0 ? std::string()
                              : fmt::format("{}[{}]", base::escape_controls(life.holder.command), life.holder.pid);
}

std::string line_of(const Json& document) {
  return base::escape_controls_in_json(document.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n');
}

Json opened_json(const SocketLife& life) {
  return {{"event", "opened"},
          {"at_ns", base::to_ns(life.opened)},
          {"socket", life.socket},
          {"local", wire::to_string(life.local)},
          {"remote", wire::to_string(life.remote)},
          {"pid", life.holder.pid},
          {"command", life.holder.command},
          {"opener", life.opener}};
}

Json closer_json(explain::Closer closer) {
  constexpr const char* closers[] = {"nobody", "local", "remote", "both"};
  return closers[static_cast<std::size_t>(closer)];
}

Json ended_json(const SocketLife& life, const SocketLife* peer, const explain::LifeVerdict& verdict,
                std::string_view why) {
  Json line{{"event", "ended"},
            {"at_ns", base::to_ns(life.ended)},
            {"socket", life.socket},
            {"local", wire::to_string(life.local)},
            {"remote", wire::to_string(life.remote)},
            {"pid", life.holder.pid},
            {"command", life.holder.command},
            {"only_listens", life.holder_only_listens},
            {"closer_pid", life.closer.pid},
            {"opener", life.opener},
            {"lasted_ns", (life.ended - life.opened).count()},
            {"began_before_watching", life.began_before_watching},
            {"bytes_sent", life.bytes_sent},
            {"bytes_received", life.bytes_received},
            {"retransmissions", life.retransmissions},
            {"srtt_us", life.srtt_us},
            {"closed_first", closer_json(verdict.first)},
            {"still_open", closer_json(verdict.open)},
            {"why", verdict.row->id},
            {"abnormal", verdict.row->abnormal},
            {"reset_reason", verdict.reason},
            {"reset_cause", verdict.cause},
            {"error", life.error},
            {"words", why}};
  if (peer != nullptr)
    line["peer"] = {{"pid", peer->holder.pid},
                    {"command", peer->holder.command},
                    {"only_listens", peer->holder_only_listens},
                    {"closer_pid", peer->closer.pid}};
  return line;
}

}  // namespace

std::string watch_heading(const WatchHeading& heading) {
  const base::Text here{"this network namespace", "本网络命名空间"}, that{"network namespace ", "网络命名空间 "},
      every{"every network namespace", "所有网络命名空间"};
  const base::Text all{"all TCP", "全部 TCP 连接"}, some{"the chosen TCP connections", "所选的 TCP 连接"};
  const base::Language language = heading.language;
  std::string where((heading.every_netns ? every : heading.netns.empty() ? here : that).in(language));
  where += base::escape_controls(heading.netns);
  const auto since = std::chrono::floor<std::chrono::seconds>(heading.since).time_since_epoch().count();
  const std::string words = base::format(
      language,
      {"Watching {0} of {1} since {2:%H:%M:%S}; Ctrl-C ends.", "自 {2:%H:%M:%S} 起观察{1}的{0}；按 Ctrl-C 结束。"},
      (heading.filtered ? some : all).in(language), where, fmt::localtime(since));
  return base::wrap(words, 0, 2, heading.width) + '\n';
}

std::string LifeLines::ClockTime::operator()(base::WallTime at) {
  const auto second = std::chrono::floor<std::chrono::seconds>(at);
  if (second != second_) {
    second_ = second;
    text_ = fmt::format("{:%H:%M:%S}", fmt::localtime(second.time_since_epoch().count()));
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at - second).count();
  return fmt::format("{}.{:03}", text_, ms);
}

// Of two ends with one address it is written once.
std::string LifeLines::ends(const SocketLife& life, const SocketLife* peer) const {
  const std::string who = name_of(life), other = peer != nullptr ? name_of(*peer) : std::string();
  const bool same = life.local.ip == life.remote.ip;
  std::string text = who.empty() ? "?" : who;
  text += ' ';
  if (same && life.opener)
    text += fmt::format(":{}", life.local.port);
  else
    text += wire::to_string(life.local);
  text += life.opener ? " → " : " ← ";
  if (same && !life.opener)
    text += fmt::format(":{}", life.remote.port);
  else
    text += wire::to_string(life.remote);
  if (!other.empty()) text += ' ', text += other;
  return text;
}

void LifeLines::opened(const SocketLife& life, std::string& out) {
  if (options_.form == Form::ndjson) {
    out += line_of(opened_json(life));
    return;
  }
  const base::Text word{"opened", "已建立"};
  std::string line = clock_time_(life.opened);
  const std::size_t indent = line.size() + 2;
  line += "  ", line += ends(life, nullptr), line += "  ", line += word.in(options_.language);
  if (options_.width && base::display_width(line) > *options_.width)
    line = base::wrap(line, 0, indent, *options_.width);
  out += line;
  out += '\n';
}

void LifeLines::ended(const SocketLife& life, const SocketLife* peer, const explain::LifeVerdict& verdict,
                      std::string_view why, std::string& out) {
  if (options_.form == Form::ndjson)
    out += line_of(ended_json(life, peer, verdict, why));
  else
    ended_as_text(life, peer, why, out);
}

void LifeLines::ended_as_text(const SocketLife& life, const SocketLife* peer, std::string_view why, std::string& out) {
  std::string line = clock_time_(life.ended);
  const std::size_t indent = line.size() + 2;
  line += "  ";
  line += ends(life, peer);
  std::string facts = life.began_before_watching ? "> " : "";
  for (const std::string_view part :
       {std::string_view(base::duration_in_tenths(life.ended - life.opened)), std::string_view(" ↑"),
        std::string_view(base::bytes_in_whole_units(life.bytes_sent)), std::string_view(" ↓"),
        std::string_view(base::bytes_in_whole_units(life.bytes_received))})
    facts += part;
  if (life.retransmissions != 0)
    facts += base::format(options_.language, {", {} retransmitted", "，重传 {}"}, life.retransmissions);
  // Each part stands where it fits whole.
  for (const std::string_view part : {std::string_view(facts), why}) {
    if (options_.width && base::display_width(line) + 2 + base::display_width(part) > *options_.width) {
      out += base::display_width(line) <= *options_.width ? line : base::wrap(line, 0, indent, *options_.width);
      out += '\n';
      line.assign(indent, ' ');
    } else {
      line += "  ";
    }
    line += part;
  }
  if (options_.width && base::display_width(line) > *options_.width) {
    const std::size_t begin = line.find_first_not_of(' ');
    line = base::wrap(std::string_view(line).substr(begin), begin, indent, *options_.width);
  }
  out += line;
  out += '\n';
}

void EndingCounts::add(const explain::LifeVerdict& verdict, bool opener) {
  ++ended_;
  if (verdict.row->abnormal) ++abnormal_;
  auto& way = ways_[explain::words_of_many(verdict, opener, language_)];
  way.abnormal = verdict.row->abnormal, ++way.count;
}

std::string EndingCounts::text(std::size_t alive, base::Duration watched, std::size_t width) const {
  std::string text =
      base::format(language_,
                   {"In {0}: {1} {2} ended, {3} of them not well; {4} {5} open.",
                    "{0} 内：{1} 个连接结束，其中 {3} 个异常；{4} 个仍打开。"},
                   base::age_in_words(watched), base::grouped(ended_), ended_ == 1 ? "connection" : "connections",
                   base::grouped(abnormal_), base::grouped(alive), alive == 1 ? "is" : "are");
  text += '\n';
  std::vector<std::pair<std::string_view, Way>> ways(ways_.begin(), ways_.end());
  std::ranges::stable_sort(ways, {}, [](const auto& way) {
    return std::pair(!way.second.abnormal, -static_cast<std::int64_t>(way.second.count));
  });
  constexpr std::size_t indent = 12;
  for (const auto& [words, way] : ways)
    text +=
        fmt::format("{:>10}  {}\n", base::grouped(way.count), base::wrap(words, indent, indent, width).substr(indent));
  return text;
}

}  // namespace tcpwhy::render
