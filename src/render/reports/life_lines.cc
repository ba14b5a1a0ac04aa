#include "render/reports/life_lines.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

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

Json ended_json(const SocketLife& life, const SocketLife* peer, const explain::LifeVerdict& verdict,
                std::string_view why) {
  constexpr const char* closers[] = {"nobody", "local", "remote", "both"};
  Json line{{"event", "ended"},
            {"at_ns", base::to_ns(life.ended)},
            {"socket", life.socket},
            {"local", wire::to_string(life.local)},
            {"remote", wire::to_string(life.remote)},
            {"pid", life.holder.pid},
            {"command", life.holder.command},
            {"opener", life.opener},
            {"lasted_ns", (life.ended - life.opened).count()},
            {"began_before_watching", life.began_before_watching},
            {"bytes_sent", life.bytes_sent},
            {"bytes_received", life.bytes_received},
            {"retransmissions", life.retransmissions},
            {"srtt_us", life.srtt_us},
            {"closed_first", closers[static_cast<std::size_t>(verdict.first)]},
            {"why", verdict.row->id},
            {"abnormal", verdict.row->abnormal},
            {"reset_reason", verdict.reason},
            {"reset_cause", verdict.cause},
            {"error", life.error},
            {"words", why}};
  if (peer != nullptr) line["peer"] = {{"pid", peer->holder.pid}, {"command", peer->holder.command}};
  return line;
}

}  // namespace

std::string LifeLines::ClockTime::operator()(base::WallTime at) {
  const auto second = std::chrono::floor<std::chrono::seconds>(at);
  if (second != second_) {
    second_ = second;
    text_ = fmt::format("{:%H:%M:%S}", fmt::localtime(second.time_since_epoch().count()));
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at - second).count();
  return fmt::format("{}.{:03}", text_, ms);
}

void LifeLines::opened(const SocketLife& life, std::string& out) {
  if (form_ == Form::ndjson) {
    out += line_of(opened_json(life));
    return;
  }
  const std::string who = name_of(life);
  fmt::format_to(std::back_inserter(out), "{}  {} {} {} {}  opened\n", clock_time_(life.opened),
                 who.empty() ? "?" : who, life.local, life.opener ? "→" : "←", life.remote);
}

void LifeLines::ended(const SocketLife& life, const SocketLife* peer, const explain::LifeVerdict& verdict,
                      std::string_view why, std::string& out) {
  if (form_ == Form::ndjson)
    out += line_of(ended_json(life, peer, verdict, why));
  else
    ended_as_text(life, peer, why, out);
}

void LifeLines::ended_as_text(const SocketLife& life, const SocketLife* peer, std::string_view why, std::string& out) {
  const std::string at = clock_time_(life.ended), how_long = base::duration_in_tenths(life.ended - life.opened);
  const std::string who = name_of(life), other = peer != nullptr ? name_of(*peer) : std::string();
  const std::string local = wire::to_string(life.local), remote = wire::to_string(life.remote);
  const std::string sent = base::bytes_in_whole_units(life.bytes_sent),
                    received = base::bytes_in_whole_units(life.bytes_received);
  const std::string_view parts[] = {at,
                                    "  ",
                                    who.empty() ? std::string_view("?") : who,
                                    " ",
                                    local,
                                    life.opener ? " → " : " ← ",
                                    remote,
                                    other.empty() ? "" : " ",
                                    other,
                                    "  ",
                                    life.began_before_watching ? "> " : "",
                                    how_long,
                                    ", ↑",
                                    sent,
                                    " ↓",
                                    received};
  for (const std::string_view part : parts) out += part;
  if (life.retransmissions != 0) out += fmt::format(", {} retransmitted", life.retransmissions);
  out += "  ";
  out += why;
  out += '\n';
}

void EndingCounts::add(const explain::LifeVerdict& verdict) {
  ++ended_;
  ++counts_[std::string(verdict.row->id)];
}

std::string EndingCounts::text(std::size_t alive) const {
  std::string text = fmt::format("{} connections ended, {} alive\n", ended_, alive);
  for (const auto& [id, count] : counts_) text += fmt::format("{:>10}  {}\n", count, id);
  return text;
}

}  // namespace tcpwhy::render
