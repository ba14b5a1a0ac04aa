// tcpwhy server and tcpwhy client: the experiment by hand, in two terminals (lab/agents/by_hand.h).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/command.h"
#include "lab/agents/by_hand.h"

namespace tcpwhy::cli {
namespace {

int status_of(const base::Status& status) { return status ? 0 : report(status.error()); }

int serve(const std::string& address) {
  const auto listen_on = lab::parse_listen_address(address);
  return listen_on ? status_of(lab::serve_by_hand(*listen_on, stdin, stdout)) : report(listen_on.error());
}

int connect(const std::string& host, std::uint16_t port) {
  const auto peer = lab::find_host(host, port);
  return peer ? status_of(lab::connect_by_hand(*peer, stdin, stdout)) : report(peer.error());
}

constexpr const char* typed_lines =
    "Then type calls, one a line (send hello, recv, close, shutdown wr, setsockopt SO_LINGER 1 0), or state, help, quit; each\n"
    "is printed with its result as strace would. Works from a pipe too.";

}  // namespace

void add_server_command(CLI::App& app, Settings&, Command& chosen) {
  auto* server = app.add_subcommand("server", "The experiment by hand: listens, and makes the calls you type");
  server->footer(typed_lines);
  const auto address = std::make_shared<std::string>(std::to_string(lab::default_port));
  server->add_option("[ADDR:]PORT", *address, fmt::format("Where to listen (default: port {})", lab::default_port))
      ->option_text(" ");
  server->callback([&chosen, address] { chosen = [address](Context&) { return serve(*address); }; });
}

void add_client_command(CLI::App& app, Settings&, Command& chosen) {
  auto* client = app.add_subcommand("client", "The experiment by hand: connects, and makes the calls you type");
  client->footer(typed_lines);
  struct Peer {
    std::string host = "127.0.0.1";
    std::uint16_t port = lab::default_port;
  };
  const auto peer = std::make_shared<Peer>();
  client->add_option("HOST", peer->host, "Whom to connect to (default: 127.0.0.1)")->option_text(" ");
  client->add_option("PORT", peer->port, fmt::format("(default: {})", lab::default_port))->option_text(" ");
  client->callback([&chosen, peer] { chosen = [peer](Context&) { return connect(peer->host, peer->port); }; });
}

}  // namespace tcpwhy::cli
