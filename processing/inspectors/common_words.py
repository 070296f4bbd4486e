"""The commonest words of languages that share an alphabet: what tells one from another in a few lines."""

from __future__ import annotations

COMMON_WORDS: dict[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "en": """
            the of and to in is that it for was on are as with his they at be this have from or had
            by not but what all were we when your can said there which their will would has been
        """,
        "de": """
            der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es
            an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über ich wir
            aber
        """,
        "fr": """
            de la le et les des en un du une que est pour qui dans par plus pas au sur ne se ce il
            sont avec son aux ou mais nous cette leur été être ont même elle je vous
        """,
        "es": """
            de la que el en y a los del se las por un para con no una su al lo como más pero sus le
            ya o este sí porque esta entre cuando muy sin sobre también hasta hay donde
        """,
        "it": """
            di e il la che in a per un del con non una le si da i dei al come è della nel più ma
            anche alla sono gli questo ha lo nella delle ho perché essere stato
        """,
        "pt": """
            de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele
            das seu sua ou quando muito nos já eu também só pelo pela até isso são você
        """,
        "nl": """
            de van het een en in is dat op te zijn met voor niet aan er om ook als dan maar bij of
            uit nog naar door over ze wordt deze hij heeft werd wel zo kan ik geen
        """,
        "sv": """
            och i att det som en på är av för med till den har de inte om ett han men var jag sig
            från vi så kan man när nu år hade där eller också efter skulle än
        """,
        "da": """
            og i at det er en til på som af for med den de har ikke et om var han fra jeg der sig
            også kan men vi så mig hvad efter være meget nogle blev
        """,
        "no": """
            og i det på som er en til å av for at med har de ikke den om et var han fra jeg seg også
            kan men vi så meg hva etter være mye noen ble
        """,
        "fi": """
            ja on ei se että oli hän en mutta niin kun ovat joka myös kuin tai jos mitä ole vain nyt
            tämä minä sen sitä ollut mukaan sekä kanssa jo olen
        """,
        "pl": """
            w i na z się nie do to że jest o jak od a po za ale przez co czy był są dla tego tak już
            jego być może ze ma które który tylko oraz jej
        """,
        "cs": """
            a v se na je že to s z do o i jako za by ale pro si jsou ve při od jeho který nebo které
            jak po byl bylo podle také tak jsem když už její
        """,
        "ro": """
            de în și a la cu pe nu care din că o se un este mai pentru sunt ce fi au prin sau lui ca
            după fost dar al ale această acest între când
        """,
        "hu": """
            a az és hogy nem is egy van ez de azt volt el meg csak már még ha mint vagy ki minden
            lehet nagy pedig ezt kell után szerint között lesz
        """,
        "tr": """
            ve bir bu da de için ile çok olarak daha gibi en ne kadar ama sonra olan var o mi ya her
            değil diye ben şey olduğu ise biz oldu
        """,
        "id": """
            yang dan di itu dengan untuk tidak ini dari dalam akan pada juga ke saya ada adalah oleh
            karena atau kita mereka telah bisa lebih kepada
        """,
        "vi": """
            và của là có được cho một không các trong người với những này khi đã để tôi đến từ cũng
            như về nhiều ra
        """,
        "hr": """
            i je u se da na su za od s kao ne što o bi to ili koji iz po ali bio koje sam nije samo
            kako jer biti
        """,
        "ca": """
            de la que el i en a els per un amb no una les del és al com més es són ha seva també
            però aquest dels va ser
        """,
        "ru": """
            и в не на что я с он как это по но они к у из за то мы от был для вы его так же было бы
            еще все о если только или когда уже быть
        """,
        "bg": """
            и на да в се за от не са с по че е ще това като си към те той при но ги или бе го има
            само след му беше които
        """,
    }.items()
}
