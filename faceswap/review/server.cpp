// Two kinds of strangers can send requests to this server. Pages of other sites in the same
// browser do not know the token, have another Origin, and show in Host when a name of theirs
// resolves to 127.0.0.1. Other users of the computer do not know the token. Each request is
// checked before its body is read.
#include "faceswap/review/server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "faceswap/faces/face_file.h"
#include "faceswap/media/files.h"
#include "faceswap/media/images.h"
#include "faceswap/media/png.h"
#include "faceswap/review/api.h"
#include "faceswap/review/page.h"
#include "faceswap/review/thumbnails.h"

namespace faceswap {
namespace {

using httplib::Request;
using httplib::Response;
using nlohmann::json;

constexpr std::size_t kMaxBody = 1 << 20;  // bytes; 100,000 faces in one decision
constexpr std::size_t kMaxTarget = 128;    // bytes of a path with its query
constexpr std::size_t kThreads = 16;       // a browser opens six connections, also ahead of need
constexpr const char* kJson = "application/json";

// No script or style but our files, no other host, no frame round the page.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string random_token() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1)
    throw Error(ErrorKind::failure, "review: the system gave no random numbers; try again");
  std::string token;
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

// In a time that does not depend on the place of the first difference.
bool same_secret(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string cookie(const Request& request, const std::string& name) {
  const std::string all = "; " + request.get_header_value("Cookie");
  const std::size_t at = all.find("; " + name + "=");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 3;
  return all.substr(begin, all.find(';', begin) - begin);
}

// Through a provider, as httplib compresses a plain body: seconds for 1 MB.
void send(Response& response, std::string body, std::string_view type) {
  const std::size_t size = body.size();
  response.set_content_provider(
      size, std::string(type),
      [body = std::move(body)](std::size_t begin, std::size_t count, httplib::DataSink& sink) {
        return sink.write(body.data() + begin, count);
      });
}
void send_json(Response& response, const json& body) {
  send(response, body.dump(-1, ' ', false, json::error_handler_t::replace), kJson);
}
// The browser keeps pictures. The page adds ?run=, so it shows none of another run.
void send_picture(Response& response, const std::vector<std::byte>& file, std::string_view type) {
  response.set_header("Cache-Control", "private, max-age=86400, immutable");
  send(response, std::string(reinterpret_cast<const char*>(file.data()), file.size()), type);
}

// A handler whose Error becomes a status with its text.
using Handler = httplib::Server::Handler;
Handler answering(Handler handler) {
  return [handler = std::move(handler)](const Request& request, Response& response) {
    try {
      handler(request, response);
    } catch (const Error& error) {
      response.status = error.kind() == ErrorKind::usage ? 400 : 500;
      send_json(response, {{"error", error.what()}});
    }
  };
}

// A number of at most six digits, as the routes let them through.
int number_of(const Request& request, int group) {
  return std::stoi(request.matches[static_cast<std::size_t>(group)]);
}
}  // namespace

struct ReviewServer::State {
  struct Folder {
    explicit Folder(const std::filesystem::path& path) : set(path), thumbnails(pictures()) {}
    std::vector<std::filesystem::path> pictures() const {
      std::vector<std::filesystem::path> paths;
      for (int i = 0; i < set.count(); ++i) paths.push_back(set.face_path(i));
      return paths;
    }
    ReviewSet set;
    Thumbnails thumbnails;
  };

  std::vector<std::unique_ptr<Folder>> folders;
  std::string token = random_token(), run = random_token().substr(0, 8), cookie_name;
  int port = 0;
  httplib::Server server;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::atomic<bool> ended{false};
  std::jthread listener;

  Folder& folder(const Request& request) {
    const auto index = static_cast<std::size_t>(number_of(request, 1));
    if (index >= folders.size())
      throw Error(ErrorKind::usage, fmt::format("review: there is no set {}", index));
    return *folders[index];
  }
  bool known_host(const std::string& host) const {
    return host == fmt::format("127.0.0.1:{}", port) || host == fmt::format("localhost:{}", port);
  }
  httplib::Server::HandlerResponse guard(const Request&, Response&) const;
  void add_routes();
  json describe() const;
};

// Decides about a request by its head. Handled: refused, or the address with the token.
httplib::Server::HandlerResponse ReviewServer::State::guard(const Request& request,
                                                            Response& response) const {
  const auto no = [&response](int status, const std::string& why) {
    response.status = status;
    response.set_content(why + "\n", "text/plain; charset=utf-8");
    return httplib::Server::HandlerResponse::Handled;
  };
  const std::string host = request.get_header_value("Host");
  if (request.get_header_value_count("Host") != 1 || !known_host(host))
    return no(403, "This server answers to 127.0.0.1 and localhost alone.");
  if (request.target.size() > kMaxTarget) return no(414, "No address of this server is so long.");
  if (request.method != "GET" && request.method != "POST")
    return no(405, "This server knows GET and POST.");
  if (request.method == "GET" && request.path == "/" &&
      same_secret(request.get_param_value("token"), token)) {
    // The token leaves the address line, so no picture of the screen shows it.
    response.set_header("Set-Cookie",
                        fmt::format("{}={}; Path=/; HttpOnly; SameSite=Lax", cookie_name, token));
    response.set_redirect("/", 303);
    return httplib::Server::HandlerResponse::Handled;
  }
  if (!same_secret(cookie(request, cookie_name), token))
    return no(403, "Open the address that doppel review printed: it holds a key.");
  if (request.method == "GET") return httplib::Server::HandlerResponse::Unhandled;
  if (request.get_header_value("Origin") != "http://" + host)
    return no(403, "Changes come from this server's own page alone.");
  if (request.get_header_value("Content-Type") != kJson)
    return no(415, fmt::format("The body must be {}.", kJson));
  // httplib limits a body of a given length alone.
  if (request.get_header_value_count("Content-Length") != 1 ||
      request.has_header("Transfer-Encoding") || request.has_header("Content-Encoding"))
    return no(411, "The body must be plain, with its length.");
  return httplib::Server::HandlerResponse::Unhandled;
}

json ReviewServer::State::describe() const {
  json sets = json::array();
  for (const auto& entry : folders)
    sets.push_back({{"path", entry->set.path().string()}, {"faces", entry->set.count()}});
  return {{"run", run}, {"sets", sets}};
}

void ReviewServer::State::add_routes() {
  server.set_pre_routing_handler(
      [this](const Request& request, Response& response) { return guard(request, response); });
  const auto get = [this](const std::string& pattern, Handler handler) {
    server.Get(pattern, answering(std::move(handler)));
  };
  for (const PageFile& file : page_files())
    get(std::string(file.path), [&file](const Request&, Response& response) {
      send(response, std::string(file.text), file.type);
    });
  get("/favicon.ico", [](const Request&, Response& response) { response.status = 204; });
  get("/api/sets", [this](const Request&, Response& response) { send_json(response, describe()); });
  get("/api/faces/(\\d{1,6})", [this](const Request& request, Response& response) {
    send(response, folder(request).set.faces(), kJson);
  });
  get("/api/state/(\\d{1,6})", [this](const Request& request, Response& response) {
    send(response, folder(request).set.state(), kJson);
  });
  get("/api/face/(\\d{1,6})/(\\d{1,6})", [this](const Request& request, Response& response) {
    send(response, folder(request).set.face(number_of(request, 2)), kJson);
  });
  get("/thumb/(\\d{1,6})/(\\d{1,6})", [this](const Request& request, Response& response) {
    Folder& from = folder(request);
    const int index = number_of(request, 2);
    from.set.face_path(index);  // checks the index
    send_picture(response, from.thumbnails.get(index), "image/jpeg");
  });
  get("/picture/(\\d{1,6})/(\\d{1,6})", [this](const Request& request, Response& response) {
    const std::filesystem::path& path = folder(request).set.face_path(number_of(request, 2));
    send_picture(response, read_whole_file(path, kMaxImageBytes), "image/png");
  });
  get("/mask/(\\d{1,6})/(\\d{1,6})", [this](const Request& request, Response& response) {
    const Image mask = read_face(folder(request).set.face_path(number_of(request, 2))).mask;
    if (mask.empty()) response.status = 204;
    else send_picture(response, encode_png(mask), "image/png");
  });
  server.Post("/api/change/(\\d{1,6})",
              answering([this](const Request& request, Response& response) {
                send(response, folder(request).set.change(request.body), kJson);
              }));
  server.Post("/api/done", [this](const Request&, Response& response) {
    response.set_content("{}", kJson);  // a provider would not be asked after stop()
    const std::lock_guard lock(mutex);
    done = true;
    changed.notify_all();
  });
}

ReviewServer::ReviewServer(const std::vector<std::filesystem::path>& folders, int port)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  for (const std::filesystem::path& path : folders) {
    for (const auto& other : s.folders)
      if (same_file(path, other->set.path()))
        throw Error(ErrorKind::usage,
                    fmt::format("{}: this folder is given twice; name each once", path.string()));
    s.folders.push_back(std::make_unique<State::Folder>(path));
  }
  httplib::Server& server = s.server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_payload_max_length(kMaxBody);
  // One request per connection: the unread body of a refused one is not taken for the next.
  server.set_keep_alive_max_count(1);
  server.set_tcp_nodelay(true);
  // Without SO_REUSEPORT, httplib's default: another program could share the port.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server.set_default_headers({{"Content-Security-Policy", kPolicy},
                              {"X-Content-Type-Options", "nosniff"},
                              {"Referrer-Policy", "no-referrer"},
                              {"Cross-Origin-Resource-Policy", "same-origin"},
                              {"Cross-Origin-Opener-Policy", "same-origin"}});
  s.port = port;
  if (port == 0) s.port = server.bind_to_any_port("127.0.0.1");
  else if (!server.bind_to_port("127.0.0.1", port)) s.port = -1;
  if (s.port <= 0)
    throw Error(ErrorKind::usage,
                fmt::format("review: port {} cannot be used: another program has it, or it needs "
                            "root; name another, or none, by --port",
                            port));
  s.cookie_name = fmt::format("doppel_review_{}", s.port);
  s.add_routes();
  s.listener = std::jthread([&s] {
    s.server.listen_after_bind();
    s.ended = true;
  });
}

ReviewServer::~ReviewServer() {
  // stop() does nothing before listen_after_bind() has begun.
  while (!state_->server.is_running() && !state_->ended)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  state_->server.stop();
}

int ReviewServer::port() const { return state_->port; }
const std::string& ReviewServer::token() const { return state_->token; }

std::string ReviewServer::address() const {
  return fmt::format("http://127.0.0.1:{}/?token={}", state_->port, state_->token);
}

bool ReviewServer::done_within(std::chrono::milliseconds time) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, time, [this] { return state_->done; });
}
}  // namespace faceswap
