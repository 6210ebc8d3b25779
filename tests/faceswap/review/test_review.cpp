// The review page's server as a browser and as an attacker would talk to it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_folder.h"
#include "faceswap/faces/face_mask.h"
#include "faceswap/review/api.h"
#include "faceswap/review/server.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

namespace fs = std::filesystem;
using faceswap::ErrorKind;
using httplib::Headers;
using nlohmann::json;

constexpr int kSize = 64, kPerPerson = 4;
constexpr double kFrameEyes[4] = {40, 50, 60, 50};  // 20 pixels apart: the crop shows 64

// Persons 0 and 1 with four faces each, a_0.png to b_3.png, and one refused face.
void make_set(const fs::path& folder) {
  fs::create_directories(folder / "refused");
  for (int i = 0; i <= 2 * kPerPerson; ++i) {
    const bool refused = i == 2 * kPerPerson;
    const int person = refused ? -1 : i / kPerPerson;
    faceswap::Face face;
    face.source = "clip.mp4";
    face.frame = 10 * i;
    face.track = i / 2;
    face.person = person;
    face.eyes[0] = {kFrameEyes[0], kFrameEyes[1]};
    face.eyes[1] = {kFrameEyes[2], kFrameEyes[3]};
    face.to_canonical = faceswap::similarity_from_eyes(face.eyes[0], face.eyes[1]);
    face.crop_size = kSize;
    face.landmarks.assign(468, {50, 60});
    face.measures.presence = 0.9;
    if (i == 3) face.marks = {faceswap::FaceMark::blurred, faceswap::FaceMark::covered};
    if (refused) face.refused = "no face in the mesh";
    face.identity.assign(128, 0.01f * static_cast<float>(person + 1));
    faceswap::Image crop(kSize, kSize);
    std::fill(crop.pixels.begin(), crop.pixels.end(), static_cast<std::uint8_t>(20 * i + 20));
    const std::string name =
        refused ? "refused/c_0.png"
                : fmt::format("{}_{}.png", person == 0 ? 'a' : 'b', i % kPerPerson);
    const faceswap::Image mask =
        i == 0 ? faceswap::Image(faceswap::kMaskSize, faceswap::kMaskSize, 1) : faceswap::Image();
    faceswap::write_face(folder / name, crop, face, mask);
  }
}

struct Review : ::testing::Test {
  Scratch scratch;
  fs::path folder = scratch / "faces";
  std::unique_ptr<faceswap::ReviewServer> server;
  std::unique_ptr<httplib::Client> client;
  void SetUp() override {
    make_set(folder);
    start();
  }
  void start() {
    client.reset();
    server.reset();
    server = std::make_unique<faceswap::ReviewServer>(std::vector{folder}, 0);
    client = std::make_unique<httplib::Client>("127.0.0.1", server->port());
  }
  std::string host() const { return fmt::format("127.0.0.1:{}", server->port()); }
  // As the page's own requests.
  Headers headers() const {
    return {{"Cookie", fmt::format("doppel_review_{}={}", server->port(), server->token())},
            {"Origin", "http://" + host()}};
  }
  Headers with(const std::string& name, const std::string& value) const {
    Headers all = headers();
    all.erase(name);
    all.emplace(name, value);
    return all;
  }
  int get(const std::string& path, const Headers& sent) {
    const httplib::Result result = client->Get(path, sent);
    return result ? result->status : -1;
  }
  int post(const std::string& body, const Headers& sent,
           const std::string& type = "application/json") {
    const httplib::Result result = client->Post("/api/change/0", sent, body, type);
    return result ? result->status : -1;
  }
  json ask(const std::string& path) {
    const httplib::Result result = client->Get(path, headers());
    EXPECT_TRUE(result && result->status == 200) << path;
    return result ? json::parse(result->body) : json();
  }
  json change(const json& request) {
    const httplib::Result result =
        client->Post("/api/change/0", headers(), request.dump(), "application/json");
    EXPECT_TRUE(result && result->status == 200) << request << (result ? result->body : "");
    return result ? json::parse(result->body) : json();
  }
  int person(const json& state, int face) { return state["faces"][face][0]; }
  bool dropped(const json& state, int face) { return state["faces"][face][1] == 1; }
};

TEST_F(Review, ThePrintedAddressOpensThePage) {
  const std::string address = server->address();
  EXPECT_EQ(address, "http://" + host() + "/?token=" + server->token());
  httplib::Result first = client->Get("/?token=" + server->token());
  ASSERT_TRUE(first);
  EXPECT_EQ(first->status, 303);
  EXPECT_EQ(first->get_header_value("Location"), "/");
  const std::string cookie = first->get_header_value("Set-Cookie");
  EXPECT_NE(cookie.find("HttpOnly"), std::string::npos) << cookie;
  EXPECT_NE(cookie.find("SameSite=Lax"), std::string::npos) << cookie;
  for (const char* path : {"/", "/review.js", "/rows.js", "/face.js", "/review.css"}) {
    const httplib::Result page = client->Get(path, {{"Cookie", "a=b; " + cookie}});
    ASSERT_TRUE(page) << path;
    EXPECT_EQ(page->status, 200) << path;
    EXPECT_GT(page->body.size(), 1000u) << path;
    const std::string policy = page->get_header_value("Content-Security-Policy");
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_FALSE(page->has_header("Access-Control-Allow-Origin"));
  }
}

TEST_F(Review, StrangersAreRefused) {
  const std::string drop = R"({"do":"drop","faces":[0]})";
  EXPECT_EQ(get("/api/state/0", headers()), 200);
  // A name that resolves to this computer, and a second Host.
  EXPECT_EQ(get("/api/state/0", with("Host", "evil.example:80")), 403);
  EXPECT_EQ(get("/api/state/0", with("Host", "127.0.0.1")), 403);
  EXPECT_EQ(get("/?token=" + server->token(), {{"Host", "evil.example"}}), 403);
  Headers both = with("Host", host());
  both.emplace("Host", "evil.example");
  EXPECT_EQ(get("/api/state/0", both), 403);
  EXPECT_EQ(get("/api/state/0", with("Host", fmt::format("localhost:{}", server->port()))), 200);
  // Without the key, or with another.
  for (const std::string path : {"/", "/review.js", "/api/sets", "/api/state/0", "/thumb/0/0"})
    EXPECT_EQ(get(path, {}), 403) << path;
  EXPECT_EQ(get("/?token=", {}), 403);
  EXPECT_EQ(get("/?token=" + std::string(32, '0'), {}), 403);
  const std::string name = fmt::format("doppel_review_{}=", server->port());
  EXPECT_EQ(get("/api/state/0", with("Cookie", name + std::string(32, '0'))), 403);
  EXPECT_EQ(get("/api/state/0", with("Cookie", "x" + name + server->token())), 403);
  // Changes from another page, though the browser would send the cookie.
  EXPECT_EQ(post(drop, with("Origin", "http://evil.example")), 403);
  EXPECT_EQ(post(drop, with("Origin", "null")), 403);
  EXPECT_EQ(post(drop, with("Origin", "https://" + host())), 403);
  Headers without = headers();
  without.erase("Origin");
  EXPECT_EQ(post(drop, without), 403);
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
    EXPECT_EQ(post(drop, headers(), type), 415) << type;
  // Other methods, and addresses that lead nowhere.
  EXPECT_EQ(client->Put("/api/change/0", headers(), drop, "application/json")->status, 405);
  EXPECT_EQ(client->Delete("/api/change/0", headers())->status, 405);
  EXPECT_EQ(client->Options("/api/change/0", headers())->status, 405);
  for (const std::string path :
       {"/../../etc/passwd", "/thumb/0/..%2f..%2fetc%2fpasswd", "/picture/0/0.png", "/picture/0/-1",
        "/thumb/0/1234567", "/page.h"})
    EXPECT_EQ(get(path, headers()), 404) << path;
  EXPECT_EQ(get("/picture/0/9", headers()), 400);
  EXPECT_EQ(get("/api/state/1", headers()), 400);
  EXPECT_EQ(get("/" + std::string(2000, 'a'), headers()), 414);
  EXPECT_FALSE(fs::exists(folder / faceswap::kDecisionsFile));
}

TEST_F(Review, BodiesHaveLimits) {
  EXPECT_EQ(post(std::string((1 << 20) + 1, ' '), headers()), 413);
  const httplib::Result chunked = client->Post(
      "/api/change/0", headers(),
      [](std::size_t, httplib::DataSink& sink) {
        sink.write("{}", 2);
        sink.done();
        return true;
      },
      "application/json");
  EXPECT_TRUE(!chunked || chunked->status == 411);
  EXPECT_EQ(post("{}", with("Content-Encoding", "gzip")), 411);
  const std::string deep(500'000, '[');
  for (const std::string& body :
       {std::string(),
        std::string("{"),
        std::string("[]"),
        deep,
        std::string("{\"do\":1}"),
        std::string("{\"do\":\"delete\",\"faces\":[0]}"),
        std::string("{\"do\":\"drop\"}"),
        std::string("{\"do\":\"drop\",\"faces\":[]}"),
        std::string("{\"do\":\"drop\",\"faces\":[9]}"),
        std::string("{\"do\":\"drop\",\"faces\":[-1]}"),
        std::string("{\"do\":\"drop\",\"faces\":[0.5]}"),
        std::string("{\"do\":\"drop\",\"faces\":[\"../a_0.png\"]}"),
        std::string("{\"do\":\"drop\",\"faces\":[18446744073709551615]}"),
        std::string("{\"do\":\"drop\",\"faces\":[0],\"text\":\"a\\nb\"}"),
        std::string("{\"do\":\"drop\",\"faces\":[0],\"text\":\"\xff\"}"),
        "{\"do\":\"drop\",\"faces\":[0],\"text\":\"" + std::string(201, 'a') + "\"}",
        std::string("{\"do\":\"move\",\"faces\":[0]}"),
        std::string("{\"do\":\"move\",\"faces\":[0],\"person\":5000000000}"),
        std::string("{\"do\":\"align\",\"faces\":[0,1],\"eyes\":[1,2,30,4]}"),
        std::string("{\"do\":\"align\",\"faces\":[0],\"eyes\":[1,2,30]}"),
        std::string("{\"do\":\"align\",\"faces\":[0],\"eyes\":[1,2,1,3]}"),
        std::string("{\"do\":\"align\",\"faces\":[0],\"eyes\":[1,2,1e300,3]}")})
    EXPECT_EQ(post(body, headers()), 400) << body.substr(0, 80);
  EXPECT_FALSE(fs::exists(folder / faceswap::kDecisionsFile));
}

TEST_F(Review, FacesAndTheirState) {
  const json sets = ask("/api/sets");
  EXPECT_EQ(sets["sets"][0]["faces"], 9);
  const json faces = ask("/api/faces/0"), state = ask("/api/state/0");
  ASSERT_EQ(faces.size(), 9u);
  EXPECT_EQ(faces[3]["name"], "a_3.png");
  EXPECT_EQ(faces[3]["marks"], json({"blurred", "covered"}));
  EXPECT_EQ(faces[3]["pixels"], 64);
  EXPECT_EQ(faces[8]["refused"], "no face in the mesh");
  EXPECT_EQ(state["kept"], 8);
  EXPECT_TRUE(dropped(state, 8));
  EXPECT_EQ(state["faces"][8][5], "no face in the mesh");
  EXPECT_GT(state["faces"][3][3], state["faces"][2][3]);  // marked: more doubtful
  const json& people = state["people"];
  const auto one = std::ranges::find_if(people, [](const json& p) { return p["number"] == 1; });
  ASSERT_NE(one, people.end());
  EXPECT_EQ((*one)["near"], 0);
  EXPECT_NEAR((*one)["distance"], 0.01 * std::sqrt(128.0), 2e-3);
  // Eyes at (88,100) and (168,100) of 256 lie at a quarter of that in a crop of 64.
  const json face = ask("/api/face/0/0");
  const json& crop = face["crop"];
  const double x = crop[0].get<double>() * kFrameEyes[0] - crop[1].get<double>() * kFrameEyes[1] +
                   crop[2].get<double>();
  EXPECT_NEAR(x, (88 + 0.5) / 4 - 0.5, 1e-9);
  EXPECT_EQ(face["landmarks"].size(), 2u * 468);
}

TEST_F(Review, EveryChangeIsKeptAndCanBeUndone) {
  json state = change({{"do", "drop"}, {"faces", {0, 1, 1}}, {"text", "by hand"}});
  EXPECT_EQ(state["kept"], 6);
  EXPECT_TRUE(dropped(state, 0) && dropped(state, 1) && !dropped(state, 2));
  EXPECT_EQ(state["faces"][0][5], "by hand");
  EXPECT_EQ(change({{"do", "undo"}})["kept"], 8);
  EXPECT_EQ(change({{"do", "redo"}})["kept"], 6);
  EXPECT_EQ(change({{"do", "keep"}, {"faces", {8}}})["kept"], 7);  // refused, taken back
  state = change({{"do", "move"}, {"faces", {4, 5}}, {"person", "new"}});
  const int fresh = person(state, 4);
  EXPECT_GT(fresh, 1);
  EXPECT_EQ(person(state, 5), fresh);
  change({{"do", "move"}, {"faces", {6}}, {"person", 0}});
  change({{"do", "rename"}, {"person", fresh}, {"text", "Änne"}});
  change({{"do", "align"}, {"faces", {2}}, {"eyes", {41, 52, 61, 50}}});
  EXPECT_EQ(post(R"({"do":"move","faces":[0],"person":-2})", headers()), 400);

  start();  // another server on the same folder
  state = ask("/api/state/0");
  EXPECT_EQ(state["kept"], 7);
  EXPECT_EQ(person(state, 5), fresh);
  EXPECT_EQ(person(state, 6), 0);
  EXPECT_EQ(state["faces"][2][2], 1);
  EXPECT_EQ(ask("/api/face/0/2")["eyes"], json({41, 52, 61, 50}));
  const json& people = state["people"];
  EXPECT_TRUE(std::ranges::any_of(
      people, [&](const json& p) { return p["number"] == fresh && p["name"] == "Änne"; }));
  for (int step = 0; step < 6; ++step) state = change({{"do", "undo"}});
  EXPECT_EQ(state["kept"], 8);
  EXPECT_EQ(state["undoable"], 0);
  EXPECT_EQ(change({{"do", "undo"}})["kept"], 8);
}

TEST_F(Review, DecisionsOfOthersAreSeen) {
  faceswap::FaceFolder other(folder);
  other.decide({faceswap::Decision::drop, {"a_0.png"}, -1, "elsewhere", {}});
  EXPECT_EQ(ask("/api/state/0")["kept"], 7);
  EXPECT_EQ(change({{"do", "undo"}})["kept"], 8);
}

TEST_F(Review, Pictures) {
  const httplib::Result thumb = client->Get("/thumb/0/0?run=1", headers());
  ASSERT_TRUE(thumb);
  EXPECT_EQ(thumb->get_header_value("Content-Type"), "image/jpeg");
  EXPECT_TRUE(thumb->body.starts_with("\xff\xd8"));
  const httplib::Result picture = client->Get("/picture/0/8", headers());
  ASSERT_TRUE(picture);
  std::ifstream file(folder / "refused/c_0.png", std::ios::binary);
  EXPECT_EQ(picture->body, std::string(std::istreambuf_iterator<char>(file), {}));
  const httplib::Result mask = client->Get("/mask/0/0", headers());
  ASSERT_TRUE(mask);
  EXPECT_EQ(mask->get_header_value("Content-Type"), "image/png");
  EXPECT_EQ(get("/mask/0/1", headers()), 204);  // its file has none
}

TEST_F(Review, ADamagedPictureIsNamed) {
  {
    std::fstream file(folder / "a_1.png", std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-20, std::ios::end);  // in the last checksums, behind the metadata
    file.write("12345678", 8);
  }
  start();
  const httplib::Result result = client->Get("/thumb/0/1", headers());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 500);
  EXPECT_NE(result->body.find("a_1.png"), std::string::npos) << result->body;
  EXPECT_EQ(get("/thumb/0/0", headers()), 200);
}

TEST_F(Review, DoneEndsTheWait) {
  EXPECT_FALSE(server->done_within(std::chrono::milliseconds(1)));
  EXPECT_EQ(client->Post("/api/done", {}, "{}", "application/json")->status, 403);
  EXPECT_FALSE(server->done_within(std::chrono::milliseconds(1)));
  EXPECT_EQ(client->Post("/api/done", headers(), "{}", "application/json")->status, 200);
  EXPECT_TRUE(server->done_within(std::chrono::milliseconds(0)));
}

TEST_F(Review, APortOrFolderTwiceIsAnError) {
  std::string message;
  EXPECT_EQ(kind_of([&] { faceswap::ReviewServer({folder}, server->port()); }, &message),
            ErrorKind::usage);
  EXPECT_NE(message.find("--port"), std::string::npos) << message;
  EXPECT_EQ(kind_of(
                [&] {
                  faceswap::ReviewServer({folder, folder / "."}, 0);
                },
                &message),
            ErrorKind::usage);
  EXPECT_NE(message.find("twice"), std::string::npos) << message;
}

TEST(FaceDoubt, GrowsWithMarksDistanceAndAbsence) {
  faceswap::Face face;
  EXPECT_EQ(faceswap::face_doubt(face, -1), 0);
  EXPECT_EQ(faceswap::face_doubt(face, 0.3), 0);
  EXPECT_GT(faceswap::face_doubt(face, 0.6), faceswap::face_doubt(face, 0.5));
  face.landmarks.resize(468);
  face.measures.presence = 1;
  EXPECT_EQ(faceswap::face_doubt(face, -1), 0);
  face.measures.presence = 0.5;
  EXPECT_EQ(faceswap::face_doubt(face, -1), 1);
  face.marks = {faceswap::FaceMark::dark};
  EXPECT_EQ(faceswap::face_doubt(face, -1), 1.25);
}
}  // namespace
