"""SCRAM: a right password gets in, a wrong one and an unknown name look the same."""

import pytest
from scramp import ScramClient

from jabot.server.sasl import MECHANISMS, SaslError, ScramExchange, hash_password
from jabot.server.store import Store


@pytest.fixture
def store():
    made = Store(None)
    made.set_credentials("ann@localhost", hash_password("pencil", 4096))
    yield made
    made.close()


def sign_in(store, mechanism, name, password):
    """Run the exchange; gives it and the server's first message."""
    client = ScramClient([mechanism], name, password)
    exchange = ScramExchange(mechanism, "localhost", store, 4096)
    challenge = exchange.answer(client.get_client_first().encode()).decode()
    client.set_server_first(challenge)
    client.set_server_final(exchange.answer(client.get_client_final().encode()).decode())
    return exchange


def challenge_for(store, name, mechanism="SCRAM-SHA-256"):
    client = ScramClient([mechanism], name, "x", c_nonce="n0nce")
    exchange = ScramExchange(mechanism, "localhost", store, 4096)
    return exchange.answer(client.get_client_first().encode()).decode().split(",")


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("name", ["ann", "ANN"])
def test_the_right_password(store, mechanism, name):
    exchange = sign_in(store, mechanism, name, "pencil")
    assert exchange.done
    assert exchange.account == "ann@localhost"


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("name", "password"), [("ann", "pen"), ("nobody", "pencil"), ("a b", "x")])
def test_wrong_password_and_unknown_name_fail_alike(store, mechanism, name, password):
    with pytest.raises(SaslError) as caught:
        sign_in(store, mechanism, name, password)
    assert caught.value.condition == "not-authorized"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_an_unknown_name_is_challenged_like_a_known_one(store, mechanism):
    known, unknown = (challenge_for(store, name, mechanism) for name in ("ann", "nobody"))
    assert [len(part) for part in known] == [len(part) for part in unknown]
    assert known[2] == unknown[2]
    # The salt of an account does not change from one try to the next.
    assert challenge_for(store, "nobody", mechanism)[1] == unknown[1]
    assert challenge_for(store, "somebody", mechanism)[1] != unknown[1]


@pytest.mark.parametrize("message", [b"", b"hello", b"\xff", b"n,,n=ann", b"p=tls-unique,,n=a,r=b"])
def test_a_malformed_first_message(store, message):
    with pytest.raises(SaslError) as caught:
        ScramExchange("SCRAM-SHA-1", "localhost", store, 4096).answer(message)
    assert caught.value.condition == "malformed-request"


def test_an_authorization_identity_is_refused(store):
    with pytest.raises(SaslError):
        ScramExchange("SCRAM-SHA-1", "localhost", store, 4096).answer(b"n,a=bob,n=ann,r=xyz")


def test_what_is_kept_is_not_the_password():
    kept = hash_password("correct horse", 4096)
    assert set(kept) == set(MECHANISMS)
    assert "correct horse" not in repr(kept)


def test_a_password_that_cannot_be_used_is_not_quoted():
    with pytest.raises(ValueError, match="SCRAM does not allow") as caught:
        hash_password("secret\x07word", 4096)
    assert "word" not in str(caught.value).replace("password", "")
