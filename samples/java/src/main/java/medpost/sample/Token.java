package medpost.sample;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Tokens (JWT, HS256) of one application. Made when a record is published, not when it is queued. Never logs one. */
final class Token {
    static final int TTL_S = 300;

    private final String appId;
    private final String keyId;
    private final SecretKeySpec secret;

    Token(String appId, String keyId, String secret) {
        this.appId = appId;
        this.keyId = keyId;
        this.secret = new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256");
    }

    /** A token from now on for five minutes; {@code nowS} is seconds since 1970-01-01 UTC. */
    String mint(long nowS) {
        String header = "{\"alg\":\"HS256\",\"kid\":\"" + keyId + "\",\"typ\":\"JWT\"}";
        String claims = "{\"iss\":\"" + appId + "\",\"aud\":\"medpost\",\"iat\":" + nowS + ",\"exp\":" + (nowS + TTL_S) + "}";
        String signed = base64(header.getBytes(StandardCharsets.UTF_8)) + "."
                + base64(claims.getBytes(StandardCharsets.UTF_8));
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(secret);
            return signed + "." + base64(mac.doFinal(signed.getBytes(StandardCharsets.US_ASCII)));
        } catch (GeneralSecurityException problem) {
            throw new IllegalStateException("cannot sign", problem);
        }
    }

    /** base64url without padding. */
    private static String base64(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }
}
