// tcpwhy server and tcpwhy client: the experiment by hand, in two terminals (lab/agents/by_hand.h).
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "base/format.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/usage_mistake.h"
#include "lab/agents/by_hand.h"

namespace tcpwhy::cli {
namespace {

int status_of(const base::Status& status) { return status ? 0 : report(status.error()); }

lab::Terminal terminal_of(const Context& context) {
  return {.in = stdin, .out = stdout, .language = context.language()};
}

int serve(const std::string& address, const Context& context) {
  const auto listen_on = lab::parse_listen_address(address);
  return listen_on ? status_of(lab::serve_by_hand(*listen_on, terminal_of(context))) : report(listen_on.error());
}

int connect(const std::string& host, std::uint16_t port, const Context& context) {
  const auto peer = lab::find_host(host, port);
  return peer ? status_of(lab::connect_by_hand(*peer, terminal_of(context))) : report(peer.error());
}

constexpr base::Text typed_lines = {
    "Then type calls, one a line (send hello, recv, close, shutdown wr, setsockopt SO_LINGER 1 0), or state, help, quit; each "
    "is printed with its result as strace would. Works from a pipe too.",
    "然后输入调用，每行一个（send hello、recv、close、shutdown wr、setsockopt SO_LINGER 1 0），或 state、help、quit；"
    "每个调用连同结果按 strace 的写法显示。也可从管道输入。"};

}  // namespace

void add_server_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* server =
      app.add_subcommand("server", description({"The experiment by hand: listens, and makes the calls you type",
                                                "手动实验：监听，并执行您输入的调用"},
                                               {{"tcpwhy server", {"on all addresses", "监听所有地址"}},
                                                {"tcpwhy server 127.0.0.1:8080", {"on this one", "监听此地址"}}}));
  server->footer(said(typed_lines));
  const auto address = std::make_shared<std::string>(std::to_string(lab::default_port));
  server->add_option(
      "[ADDR:]PORT", *address,
      said(base::format({"Where to listen (default: port {})", "在哪里监听（默认：端口 {}）"}, lab::default_port)));
  add_language(*server, settings);
  server->callback([&chosen, address] { chosen = [address](Context& context) { return serve(*address, context); }; });
}

void add_client_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* client = app.add_subcommand(
      "client", description({"The experiment by hand: connects, and makes the calls you type",
                             "手动实验：连接，并执行您输入的调用"},
                            {{"tcpwhy client", {"to tcpwhy server on this host", "连接本机的 tcpwhy server"}},
                             {"tcpwhy client example.org 80", {"to any server", "连接任意服务器"}}}));
  client->footer(said(typed_lines));
  struct Peer {
    std::string host = "127.0.0.1";
    std::uint16_t port = lab::default_port;
  };
  const auto peer = std::make_shared<Peer>();
  client->add_option("HOST", peer->host,
                     said({"Whom to connect to (default: 127.0.0.1)", "连接到哪台主机（默认：127.0.0.1）"}));
  in_range(
      client->add_option("PORT", peer->port,
                         said(base::format({"1 to 65535 (default: {})", "1 到 65535（默认：{}）"}, lab::default_port))),
      a_port);
  add_language(*client, settings);
  client->callback(
      [&chosen, peer] { chosen = [peer](Context& context) { return connect(peer->host, peer->port, context); }; });
}

}  // namespace tcpwhy::cli
